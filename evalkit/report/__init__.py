"""The report: collect records, draw figures, render one page. Computes no statistic of its own."""

from evalkit.report.render import write_report

__all__ = ["write_report"]
