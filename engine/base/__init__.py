"""The ground floor: errors, fields, the bus, jobs, paths and clocks. Imports nothing of ours."""
