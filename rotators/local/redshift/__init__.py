"""Redshift and Redshift Serverless in the local AWS."""
