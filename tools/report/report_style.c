/* How the page looks: light and dark, narrow and wide, on paper. */
#include "tools/report/report_internal.h"

/* Okabe and Ito's palette (jfly.uni-koeln.de/color), which the common colour blindnesses tell apart. Its
 * black is the text's colour here, so that it shows on a dark page; its yellow is left out, which shows on
 * neither. */
static const char *const style[] = {
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--soft:#57606a;--grid:#e3e6ea;--panel:#f6f7f9;"
    "--edge:#d0d5db;--shade:230 159 0;--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#cc79a7;--c4:#e69f00;"
    "--c5:#56b4e9}\n",
    "@media (prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e6e8ea;--soft:#a3abb4;--grid:#2a2f35;"
    "--panel:#1b1f24;--edge:#3a4149;--shade:0 114 178;--c0:#2b95d6}}\n",
    "*{box-sizing:border-box}\n",
    "body{margin:0 auto;padding:1.2rem clamp(.8rem,3vw,2.5rem) 3rem;max-width:74rem;background:var(--bg);"
    "color:var(--fg);font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\n",
    "h1,h3,h4,.words,.note,.legend{overflow-wrap:anywhere}h1{font-size:1.6rem;line-height:1.25;margin:.2rem "
    "0}h2{font-size:1.25rem;margin:2.2rem 0 .6rem;"
    "padding-top:.5rem;border-top:1px solid var(--edge)}h3{font-size:1rem;margin:0 0 .4rem}"
    "h4{font-size:.85rem;margin:.7rem 0 .1rem;color:var(--soft)}\n",
    "p{margin:.5rem 0;max-width:64rem}.sub,.note,figcaption,footer{color:var(--soft)}"
    "figcaption,footer{font-size:.85rem}code{font-size:.9em;overflow-wrap:anywhere}\n",
    "nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:.8rem 0;padding:0}"
    "a{color:var(--c0)}a:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:2px solid "
    "var(--c0);outline-offset:2px}\n",
    "dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:.6rem 1rem;margin:.6rem "
    "0}"
    "dl div{min-width:0}dt{font-size:.8rem;color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}\n",
    ".scroll{overflow-x:auto;margin:.5rem 0}table{border-collapse:collapse;font-size:.92rem;"
    "font-variant-numeric:tabular-nums}th,td{padding:.3rem .5rem;text-align:right;white-space:nowrap;"
    "border-bottom:1px solid var(--grid)}thead th{color:var(--soft);font-weight:600;border-bottom-color:"
    "var(--edge)}th:first-child{text-align:left}td.l{text-align:left}tr.top th,tr.top td{font-weight:700}\n",
    "figure{margin:0 0 1.2rem;padding:.8rem;background:var(--panel);border:1px solid var(--edge);"
    "border-radius:8px;max-width:40rem;min-width:0}figure svg{display:block;width:100%;height:auto}"
    ".pair{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,23rem),1fr));gap:1rem;"
    "align-items:start}.pair>*{min-width:0}\n",
    ".legend{list-style:none;display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;padding:0;margin:.4rem 0 .8rem;"
    "font-size:.92rem}.legend li{display:flex;align-items:center;gap:.4rem}.key{width:44px;height:16px}\n",
    "svg text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:var(--fg)}"
    "svg .tick,svg .unit{fill:var(--soft);font-size:12px}.grid{stroke:var(--grid);fill:none}"
    ".axis{stroke:var(--soft);fill:none}\n",
    ".line{fill:none;stroke:currentColor;stroke-width:1.8;stroke-linejoin:round}.band{fill:currentColor;"
    "opacity:.16}.best{fill:none;stroke:currentColor;stroke-width:1.6}.open{fill:none;stroke:currentColor;"
    "stroke-width:2}.range{fill:none;stroke:currentColor;stroke-width:6;opacity:.35}"
    ".last{fill:none;stroke:var(--fg);stroke-width:1.4}.whisker{fill:none;stroke:var(--fg);"
    "stroke-width:1.2}\n",
    "svg [class^=s]>circle:not([class]),svg[class*=s]>circle,svg [class^=s]>path:not([class]),"
    "svg.key>path:not([class]){fill:currentColor}.bar{fill:currentColor}.pale{opacity:.4}"
    ".train{fill:var(--c0);fill-opacity:.55}.test{fill:none;stroke:var(--c1);stroke-width:2.6}"
    ".cell{fill:var(--c1);stroke:var(--grid)}\n",
    ".s0{color:var(--c0)}.s1{color:var(--c1)}.s2{color:var(--c2)}.s3{color:var(--c3)}.s4{color:var(--c4)}"
    ".s5{color:var(--c5)}.s6{color:var(--fg)}\n",
    "article{margin:0 0 1rem;padding:.7rem .9rem;background:var(--panel);border:1px solid var(--edge);"
    "border-radius:8px}.words{line-height:1.9;max-width:none;margin:.2rem 0}.w{padding:.12em .22em;"
    "border-radius:3px;background:rgb(var(--shade) / calc(var(--a) * .85))}.h{text-decoration:underline;"
    "text-underline-offset:.2em;text-decoration-thickness:2px}.says{color:var(--soft);font-size:.85em}\n",
    ".chips{list-style:none;display:flex;flex-wrap:wrap;gap:.3rem .4rem;margin:.35rem 0;padding:0}"
    ".chips li,.chip{padding:.02rem "
    ".5rem;border-radius:1rem;font-size:.85rem;overflow-wrap:anywhere;border:1.5px solid}"
    ".chip{white-space:nowrap}.hit{border-color:var(--c2)!important}.miss{border-color:var(--c4)!important;"
    "border-style:dashed!"
    "important}"
    ".wrong{border-color:var(--c1)!important;border-style:double!important;border-width:3px!important}\n",
    "details{margin:.6rem 0}summary{cursor:pointer}\n",
    "@media (max-width:34rem){figure{padding:.5rem .35rem}body{padding:.8rem .6rem 2rem}"
    "svg text{font-size:15px}svg .tick,svg .unit{font-size:14px}svg .count{font-size:13px}}\n",
    "@media print{:root{--bg:#fff;--fg:#000;--soft:#444;--grid:#ddd;--panel:#fff;--edge:#bbb;"
    "--shade:230 159 0;--c0:#0072b2}body{max-width:none;padding:0;font-size:10pt}nav{display:none}"
    "figure,article,tr{break-inside:avoid}h2,h3,.legend{break-after:avoid}.scroll{overflow:visible}"
    "*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}\n",
};

void report_style(ReportOut *out)
{
    for (size_t i = 0; i < sizeof style / sizeof style[0]; i++)
        report_put(out, style[i]);
}
