import { render } from "preact";
import { start } from "./api";
import { App } from "./app";

const place = document.getElementById("page");
if (place) {
  render(<App />, place);
  start();
}
