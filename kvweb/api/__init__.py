"""Manners of the REST API that all apps share."""
