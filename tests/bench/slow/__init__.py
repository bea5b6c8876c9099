"""The pages with one slow page more, which only the bench mounts."""
