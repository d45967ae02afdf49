"""Couriers: one way of delivery a module."""
