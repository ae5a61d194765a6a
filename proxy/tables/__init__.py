"""facts with source and date: catalogue snapshot, request effects, body members, country sets"""
