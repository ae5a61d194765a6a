"""where the journal rests and is queried: sqlite (default), postgres"""
