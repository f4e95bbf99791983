"""Flower's application with our page: made by subclassing, with public means of Tornado."""

from pathlib import Path
from typing import Any, Final

from flower.app import Flower, rewrite_handler
from tornado.template import Loader, Template

from gateway_service.flower.gateways import Gateways
from gateway_service.flower.handlers import HANDLERS

TEMPLATES: Final = Path(__file__).parent / "templates"
_OURS: Final = "gateway/"
_NAVBAR: Final = "navbar.html"
_BASE: Final = "base.html"
_TAB: Final = """<li class="nav-item">
  <a class="nav-link{% if active_tab == 'shards' %} active{% end %}" href="{{ reverse_url('gateway_shards') }}"
    {% if active_tab == 'shards' %}aria-current="page"{% end %}>Shards</a>
</li>
</ul>"""


class FlowerChanged(Exception):
    """This Flower lacks something that the page is built on; the text says what."""


class GatewayFlower(Flower):
    """Flower, and the Shards page in its navigation."""

    def __init__(self, options: Any = None, **settings: Any) -> None:
        loader = ShardsLoader(settings["template_path"])
        super().__init__(options=options, **settings, template_loader=loader)
        prefix = self.options.url_prefix
        handlers = [rewrite_handler(handler, prefix) for handler in HANDLERS] if prefix else [*HANDLERS]
        self.add_handlers(r".*", handlers)
        self.gateways = Gateways(self.capp)

    def start(self) -> None:
        self.gateways.start()
        super().start()


class ShardsLoader(Loader):
    """Flower's templates, ours under ``gateway/``, and one more tab in the navigation."""

    def __init__(self, root: str) -> None:
        """Make it.

        Raises:
            FlowerChanged: Flower's own templates are not what ours extend.
        """
        super().__init__(root)
        _check(Path(root))

    def resolve_path(self, name: str, parent_path: str | None = None) -> str:
        if name.startswith(_OURS):
            return name
        parent = None if parent_path and parent_path.startswith(_OURS) else parent_path
        return str(super().resolve_path(name, parent))

    def _create_template(self, name: str) -> Template:
        if name.startswith(_OURS):
            source = (TEMPLATES / name.removeprefix(_OURS)).read_text("utf-8")
        else:
            source = (Path(self.root) / name).read_text("utf-8")
        if name == _NAVBAR:
            source = source.replace("</ul>", _TAB, 1)
        return Template(source, name=name, loader=self)


def _check(templates: Path) -> None:
    wanted = {_NAVBAR: ("</ul>",), _BASE: ("{% block navbar", "{% block container", "{% block extra_scripts")}
    for name, pieces in wanted.items():
        source = (templates / name).read_text("utf-8")
        for piece in pieces:
            if piece not in source:
                raise FlowerChanged(f"its {name} has no {piece}")
