"""What the fuzzers start from."""

from __future__ import annotations

SEEDS: dict[str, list[object]] = {
    "formula": [
        "2πf", "x²y³", "where(0 < x < 1, 10, x)", "piecewise(0, x < 0, x, x < 1, 1)", "besselj(0, x) + legendre(2, y)",
        "e^(i*pi)", "(x > 0) & ~(y < 1)", "factorial(5) % 3", r"\frac{1}{2} m v^2", r"\sin^2\theta\cos 2\pi f t",
        r"\begin{cases} x^2 & \text{if } x < 1 \\ 2 & \text{otherwise} \end{cases}", r"\sqrt[3]{x_{max}} + \hat{y}",
        r"e^{-\alpha \left|x\right|} \cdot \binom{n}{k}!", r"$\Gamma\left(x + 1\right) \log_{10} x^{*}$",
    ],
    "name": ["ω₀", "Δx", r"\omega_0", r"$x_{\mathrm{max}, 0}$", r"\hat{x}"],
    "payload": [
        {"tool": "cas", "params": {"action": "diff", "expr": "x", "a": "from:n.y.0"}},
        {"nodes": [{"id": "a", "tool": "cas", "method": "diff", "params": {"x": "from_previous_step"},
                    "dependencies": ["b"]}],
         "edges": [{"from": "a", "to": "b", "data_key": "x"}], "metadata": {"title": "t"}},
        {"method": "orchestrator_run_dag", "params": {"dag_id": 1}},
        {"spec": {"dag": []}},
        {"name": "cas", "arguments": {"method": "diff"}},
    ],
}  # fmt: skip
