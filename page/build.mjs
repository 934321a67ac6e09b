// Builds the page into the Python package: content-hashed assets, each with a gzipped twin.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "../src/corral/web/dist");
const LIMIT = 250_000; // bytes, gzipped, all together

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, "assets"), { recursive: true });

const result = await build({
  absWorkingDir: here,
  entryPoints: { page: "src/main.tsx", style: "src/style/page.css", icon: "src/icon.svg" },
  outdir: join(out, "assets"),
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: ["es2022"],
  minify: true,
  legalComments: "none",
  loader: { ".svg": "copy" },
  metafile: true,
  logLevel: "warning",
});

const outputs = Object.entries(result.metafile.outputs);
const named = (entry) => {
  const found =
    outputs.find(([, output]) => output.entryPoint === entry) ?? outputs.find(([path]) => path.endsWith(".svg"));
  return `assets/${basename(found[0])}`;
};
const html = readFileSync(join(here, "src/index.html"), "utf8")
  .replace("{icon}", named("src/icon.svg"))
  .replace("{style}", named("src/style/page.css"))
  .replace("{page}", named("src/main.tsx"));

// What the packages ask for: their copyright notices go with them.
const packages = [
  "preact",
  "@preact/signals",
  "@preact/signals-core",
  "cytoscape",
  "cytoscape-fcose",
  "cose-base",
  "layout-base",
];
const notices = packages.map((name) => {
  const root = join(here, "node_modules", name);
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return `${name} ${version}\n\n${readFileSync(join(root, "LICENSE"), "utf8").trim()}\n`;
});
writeFileSync(join(out, "assets/licenses.txt"), notices.join(`\n${"-".repeat(80)}\n\n`));

let total = 0;
for (const [path] of outputs) {
  const content = readFileSync(join(here, path));
  const packed = gzipSync(content, { level: 9 });
  writeFileSync(join(here, `${path}.gz`), packed);
  total += packed.length;
  console.log(`${String(content.length).padStart(8)} ${String(packed.length).padStart(8)} gzipped  ${basename(path)}`);
}
console.log(`${" ".repeat(8)} ${String(total).padStart(8)} gzipped in all`);
if (total > LIMIT) throw new Error(`the page has grown to ${total} bytes gzipped; at most ${LIMIT} are allowed`);
// Last, so that a build that failed leaves no page.
writeFileSync(join(out, "index.html"), html);
