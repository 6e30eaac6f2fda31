"""HTTP: the REST API that we serve, and the questions that we ask other members."""
