"""Have Review Bot run tools on all that's published, as its forms would.

Run by the Python of the Review Board release, while the server and Review
Bot's worker are running::

    python -m acceptance_site.set_up_review_bot
"""

import json
import sys
import time

import django

django.setup()

from reviewboard import initialize  # noqa: E402
from reviewboard.integrations.base import (  # noqa: E402
    get_integration_manager)


#: The tools to run, and their options.
TOOLS = {
    'pycodestyle': {'max_line_length': 79},
    'pyflakes': {},
}


def register_tools(timeout=60):
    """Have the worker tell the server which tools it has, and wait for it.

    Args:
        timeout (float, optional):
            The seconds to wait.

    Returns:
        dict:
        The tools, by the names of their entry points.
    """
    from reviewbotext.extension import ReviewBotExtension
    from reviewbotext.models import Tool

    ReviewBotExtension.instance.send_refresh_tools()
    deadline = time.monotonic() + timeout

    while True:
        tools = {tool.entry_point: tool for tool in Tool.objects.all()}

        if tools.keys() >= TOOLS.keys():
            return tools
        elif time.monotonic() > deadline:
            sys.exit('The worker did not register %s within %d seconds, but '
                     'only: %s'
                     % (' and '.join(TOOLS), timeout, ', '.join(tools)))

        time.sleep(0.2)


def run_on_all_changes(tools):
    """Run the tools on every change that's published.

    Args:
        tools (dict):
            The tools, by the names of their entry points.
    """
    from reviewbotext.integration import ReviewBotIntegration

    integration = get_integration_manager().get_integration(
        ReviewBotIntegration.integration_id)

    for name, options in TOOLS.items():
        integration.create_config(
            name=name,
            enabled=True,
            save=True,
            settings={
                'comment_on_unmodified_code': True,
                'conditions': {'mode': 'always', 'conditions': []},
                'open_issues': True,
                'tool': tools[name].pk,
                'tool_options': json.dumps(options),
            })


if __name__ == '__main__':
    initialize()
    run_on_all_changes(register_tools())
