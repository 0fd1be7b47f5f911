"""A faithful local AWS on moto, and real database servers; nothing here is needed in Lambda."""
