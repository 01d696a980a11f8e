"""The guards that are compiled into a chat template: the tree is changed before code is made from it.

Why: Jinja2's sandbox has no say in a loop's turns, in `~`, in slices and in comparisons, and these are where a
template can go on for ever or grow a value unseen. Each of them is turned into a call of the sandbox.
Rejected: rewriting the generated Python (a format that is nobody's promise).

This module imports jinja2; import it only from inside functions.
"""

from __future__ import annotations

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.visitor import NodeTransformer


class GenerationTag(Extension):
    """`{% generation %}…{% endgeneration %}` marks the assistant's text for training; here its body is rendered."""

    tags = {"generation"}  # noqa: RUF012  (the attribute's declaration is Jinja2's)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class GuardedCode(CodeGenerator):
    """Jinja2's compiler, with the guards put in the tree first."""

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:  # noqa: N802
        super().visit_Template(_Guards().visit(node), frame)


class _Guards(NodeTransformer):
    """Puts a call of the sandbox at each place where a template can repeat itself, or grow a value unseen."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_ask("tick", node), lineno=node.lineno))
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_ask("tick", node), lineno=node.lineno))
        return node

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_ask("tick", node), lineno=node.lineno))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _ask("concatenate", node, *node.nodes)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        bounds = [each or nodes.Const(None) for each in (node.arg.start, node.arg.stop, node.arg.step)]
        return _ask("slice", node, node.node, *bounds)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.expr = _plain(node.expr)
        for operand in node.ops:
            operand.expr = _plain(operand.expr)
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.key = _plain(node.key)
        return node


def _ask(name: str, at: nodes.Node, *args: nodes.Expr) -> nodes.Call:
    target = nodes.EnvironmentAttribute(name, lineno=at.lineno)
    return nodes.Call(target, list(args), [], None, None, lineno=at.lineno)


def _plain(expression: nodes.Expr) -> nodes.Expr:
    return expression if isinstance(expression, nodes.Const) else _ask("plain", expression, expression)
