"""Run record → pictures, PDF, results folder, reply. Recomputes nothing and runs no tool."""
