"""the speed claims, runnable: `python -m benchmarks.run`"""
