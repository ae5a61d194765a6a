"""ADD AN AUDIT SINK HERE: mirrors such as stdout, file, syslog, otlp, s3, nats"""

from __future__ import annotations

from proxy.sinks.file import FileSink
from proxy.sinks.stdout import StdoutSink

SINKS = (StdoutSink, FileSink)
"""Every sink. Settings, example configuration, contract tests and the docs page follow from this tuple."""
