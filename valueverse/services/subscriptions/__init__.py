"""Use cases of customers and subscriptions: create, start, change and end them by billing events; preview; list."""
