"""The pack of text modification: gold built by code where a text allows it, and checks that walk the edit."""
