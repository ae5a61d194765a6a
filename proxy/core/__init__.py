"""the pure core: no clock, no socket, no file, no event loop, no logging"""
