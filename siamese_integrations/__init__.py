"""Glue to ZenML, MLflow and Great Expectations, so that siamese_core needs none of them."""
