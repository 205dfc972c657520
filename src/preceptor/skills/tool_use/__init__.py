"""The pack that teaches tool use: libraries with a simulator behind them, tasks with a proven end, conversations."""
