"""Everything people look at: figures, panels, progress, pages, and the statistics behind them.

Every module takes the plain facts of `tasks.report.facts` and gives text, a figure or a page;
none of them reads a table or calls anybody.
"""
