from megacomet.swarm.report import Report


def charts(report: Report) -> dict[str, str]:
    return {}
