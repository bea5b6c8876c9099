"""The composition of PolicyHub: settings, urls, servers, jobs, one-command start."""

VERSION = "0.1.0"
