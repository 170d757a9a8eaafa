"""Durable runs beside peers: the same runs on each system in turns, each in processes of its own."""
