"""The demo: three invented companies whose bots have worked for some weeks.

`story` says who there is, `rhythm` what they would do in an hour, `stage` sets them up,
`history` lets the hours pass through the real services, `login` makes the log-in.
"""
