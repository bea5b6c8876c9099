"""The composition of PolicyHub: settings, urls, servers, jobs, one-command start."""
