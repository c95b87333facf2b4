"""All scenarios, by their names."""

from . import doubt, expiry, failures, logins, opinions, processes, rejections, trials

SCENARIOS = {
    name: scenario
    for subject in (rejections, trials, opinions, doubt, failures, logins, expiry, processes)
    for name, scenario in subject.SCENARIOS.items()
}
