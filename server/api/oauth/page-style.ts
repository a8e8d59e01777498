/** The look of the server's own pages: the app's colors, no pictures, no fonts to load. */
export const pageStyle = `
:root{color-scheme:light dark;
--paper:light-dark(#fbf7f1,#1a1512);--surface:light-dark(#fffdfa,#241d18);--line:light-dark(#e4d8c8,#3a3028);
--line-strong:light-dark(#94826f,#85756a);--ink:light-dark(#2a1f17,#f4eae0);--ink-soft:light-dark(#5a4b3f,#cdbdae);
--ember:light-dark(#b03f0d,#f3935a);--on-ember:light-dark(#ffffff,#2a1206);
--moss:light-dark(#35644a,#93c8a3);--moss-wash:light-dark(#e3efe4,#1f2f25);
--danger:light-dark(#ac211b,#ff9486);--danger-wash:light-dark(#fbe4e1,#45201c);--on-danger:light-dark(#ffffff,#330805)}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
main,header,footer{max-inline-size:32rem;margin-inline:auto;padding:1rem}
header{padding-block-start:2rem;color:var(--ink-soft)}
footer{color:var(--ink-soft);font-size:.875rem}
main{background:var(--surface);border:1px solid var(--line);border-radius:1rem;padding:1.5rem}
h1{font-size:1.5rem;line-height:1.25;margin-block:0 1rem}
h2{font-size:1.125rem;margin-block:2rem .5rem}
p,dl,ul,form{margin-block:0 1rem}
dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem}
dt{color:var(--ink-soft)}dd{margin:0}
label{display:block;font-weight:600;margin-block-end:1rem}
label small{display:block;font-weight:400;color:var(--ink-soft);font-size:.875rem}
.check{display:flex;gap:.75rem;align-items:start;font-weight:400}
input:not([type=checkbox]){display:block;inline-size:100%;font:inherit;font-weight:400;padding:.625rem .75rem;margin-block-start:.25rem;
color:inherit;background:var(--paper);border:1px solid var(--line-strong);border-radius:.5rem}
input[type=checkbox]{inline-size:1.5rem;block-size:1.5rem;flex:none;margin:0;accent-color:var(--ember)}
.code{font:600 1.5rem/1.2 ui-monospace,monospace;letter-spacing:.1em}
input.code{text-transform:uppercase}
button{font:inherit;font-weight:600;min-block-size:2.75rem;padding:.5rem 1.25rem;border-radius:.5rem;cursor:pointer;
border:1px solid var(--line-strong);background:none;color:inherit}
button.main{background:var(--ember);border-color:var(--ember);color:var(--on-ember)}
button.danger{background:var(--danger);border-color:var(--danger);color:var(--on-danger)}
.buttons{display:flex;flex-wrap:wrap;gap:.75rem}
.quiet{border:0;padding-inline:.25rem;color:var(--ember);text-decoration:underline}
.note,.failure{border-radius:.5rem;padding:.75rem 1rem}
.note{background:var(--moss-wash);color:var(--moss)}
.failure{background:var(--danger-wash);color:var(--danger)}
a{color:var(--ember)}
nav ul,.list{list-style:none;padding:0}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem}
nav a{display:inline-block;padding-block:.375rem}
nav [aria-current]{font-weight:700;color:inherit}
.list>li{border-block-start:1px solid var(--line);padding-block:.75rem}
.list>li>*{margin-block-end:0}
:focus-visible{outline:3px solid var(--ember);outline-offset:2px}
`
