"""The benchmark generator: labelled questions, a backlog and a corpus, all of our own making."""

from tasks.generate.benchmark import BenchmarkFiles, write_backlog_of, write_benchmark

__all__ = ["BenchmarkFiles", "write_backlog_of", "write_benchmark"]
