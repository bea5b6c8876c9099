"""Clients as users have them, against lane and pages as processes of their own."""
