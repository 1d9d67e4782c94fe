"""The body of an incoming webhook of Slack (Mattermost, Rocket.Chat and others take the same). Pure."""

from __future__ import annotations

import json

from service.alerts.wording import Message

MEDIA_TYPE = "application/json"


def body(message: Message) -> bytes:
    """``text`` is what notifications show, ``blocks`` what is read: the title, why, and a button's worth of link."""
    title, why = escaped(message.title), escaped(message.why)
    lines = [f"*{title}*"] + ([why] if why else [])
    if message.link is not None:
        lines.append(f"<{escaped(message.link)}|Open in Incumbent>")
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines)}}
    return json.dumps({"text": title, "blocks": [section]}).encode()


def escaped(text: str) -> str:
    """https://docs.slack.dev/messaging/formatting-message-text#escaping: these three begin links, mentions and entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
