"""What a machine made of a model's golden vectors, as a document that machines are compared by."""
