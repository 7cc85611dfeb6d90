"""How the web page looks, and what its own script mends in gradio's markup, for the keyboard and for screen readers."""

from __future__ import annotations

import gradio as gr

FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Ubuntu", "Cantarell", "DejaVu Sans", "sans-serif")
MONO_FONTS = ("ui-monospace", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")

CSS = """
.gradio-container { max-width: 1180px !important; margin: 0 auto !important; overflow: clip !important; }
#title h1 { font-size: 1.9rem; font-weight: 650; letter-spacing: -0.01em; margin: 0.4rem 0 0.1rem; }
#title p { color: var(--body-text-color-subdued); margin: 0 0 0.4rem; }
#result-column { position: sticky; top: 1rem; align-self: flex-start; }
.state { display: flex; flex-direction: column; gap: 0.45rem; min-height: 2.6rem;
  color: var(--body-text-color-subdued); }
.state progress { width: 100%; height: 0.4rem; border: 0; border-radius: 1rem; overflow: hidden; appearance: none;
  background: var(--border-color-primary); accent-color: var(--color-accent); }
.state progress::-webkit-progress-bar { background: var(--border-color-primary); }
.state progress::-webkit-progress-value { background: var(--color-accent); transition: width 0.2s; }
.state progress::-moz-progress-bar { background: var(--color-accent); }
.gradio-container .or, .gradio-container .info-text, .gradio-container .min_value, .gradio-container .max_value {
  color: var(--body-text-color-subdued); }
.gradio-container input[role=combobox] { padding-right: 2.2rem; text-overflow: ellipsis; }
.gradio-container :is(button, a, input, textarea, [tabindex]):focus-visible,
.gradio-container label:has(> input:focus-visible), .gradio-container .wrap-inner:has(input:focus-visible) {
  outline: 3px solid var(--ring) !important; outline-offset: 2px !important; }
.gradio-container { --ring: #0f766e; }
.dark .gradio-container, .gradio-container.dark { --ring: #5eead4; }
@media (max-width: 768px) {
  #result-column { position: static; }
  :is(#result, #preview):not(:has(img)) { display: none; }
  .state { min-height: 0; }
}
#result-column [data-testid=status-tracker] { display: none; } /* "Error" beside the sentence, until the next run */
#styles .grid-wrap { overflow-x: hidden !important; padding-top: 2.1rem; }
#styles .grid-container { grid-template-columns: repeat(4, minmax(0, 1fr)) !important; }
#styles .caption-label { left: 0; right: 0; max-width: 100%; padding: 0 0.25rem; font-size: 0.72rem; }
footer { display: none !important; }
"""

# Gradio names each radio for itself, so that the arrow keys do not move between them; it names some buttons by their
# picture only, and appends what is typed into a list to the choice that stands there.
SCRIPT = """
(() => {
  const all = (selector, mend) => document.querySelectorAll(selector).forEach(mend);
  const set = (element, name, value) => {
    if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
  };
  let number = 0;
  const idOf = (element) => (element.id ||= `impasto-${++number}`);
  const labelOf = (element) =>
    element.closest(".block")?.querySelector("[data-testid=block-label]")?.textContent.trim() ?? "";

  function mend() {
    all("fieldset", (group) => {
      const title = group.querySelector("[data-testid=block-info]"), hint = group.querySelector(".info-text");
      const radios = group.querySelectorAll("input[type=radio]");
      if (!title || !radios.length) return;
      set(group, "role", "radiogroup");
      set(group, "aria-labelledby", idOf(title));
      if (hint) set(group, "aria-describedby", idOf(hint));
      radios.forEach((radio) => set(radio, "name", idOf(title)));
    });
    all("button.upload-container", (button) =>
      set(button, "aria-label", `${labelOf(button)}: ${button.innerText.replace(/\\s+/g, " ").trim()}`));
    all(".image-container > button", (button) => set(button, "aria-label", labelOf(button)));
    all(".empty[aria-label]", (box) => box.removeAttribute("aria-label"));
    all("div[aria-dropeffect]", (box) =>
      ["aria-dropeffect", "aria-label"].forEach((name) => box.removeAttribute(name)));
    all(".toast-header", (header) => ["role", "tabindex"].forEach((name) => header.removeAttribute(name)));
    const status = document.querySelector("#status");
    set(status, "role", "status");
    set(status, "aria-live", "polite");
    keepFocus();
  }

  // A button that is switched off while it has the focus hands it on to the one that is of use next.
  let last = null;
  document.addEventListener("focusin", (event) => (last = event.target.id));
  function keepFocus() {
    if (document.activeElement !== document.body && !document.activeElement?.disabled) return;
    if (!["paint", "cancel", "save"].includes(last) || !document.getElementById(last)?.disabled) return;
    const next = last === "paint" ? ["cancel", "save"] : ["save", "paint"];
    next.map((id) => document.getElementById(id)).find((button) => button && !button.disabled)?.focus();
  }

  // What is typed into a list takes the place of the choice; leaving the list takes the first entry that fits. Gradio
  // looks at the text when a key goes down, which is one letter late, so it is told of every change once more.
  let typedIn = null;
  const isList = (element) => element?.matches?.("input[role=combobox]");
  const take = () => {
    const input = typedIn, typed = input?.value.trim().toLowerCase();
    typedIn = null;
    if (!typed || document.activeElement !== input) return false;
    const entries = document.querySelectorAll(`[id="${input.getAttribute("aria-controls")}"] [role=option]`);
    const fitting = [...entries].find((entry) => entry.getAttribute("aria-label")?.toLowerCase().includes(typed));
    fitting?.dispatchEvent(new MouseEvent("mousedown", { bubbles: true }));
    return !!fitting;
  };
  document.addEventListener("focusin", ({ target }) => // and select() itself takes the focus
    isList(target) && setTimeout(() => target === document.activeElement && target.select()));
  document.addEventListener("input", (event) => {
    if (!isList(event.target)) return;
    typedIn = event.target;
    typedIn.dispatchEvent(new KeyboardEvent("keydown", { key: "Process", bubbles: true }));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === "Escape") typedIn = null;
    if (event.key === "Tab" && take()) event.target.focus();
  }, true);
  document.addEventListener("pointerdown", (event) => {
    if (event.target.closest("[role=listbox]")) typedIn = null;
    else if (event.target !== typedIn) take();
  }, true);

  const watched = ["disabled", "name"]; // gradio names a radio anew when it is chosen
  new MutationObserver(mend).observe(document, { childList: true, subtree: true, attributeFilter: watched });
})();
"""


def theme() -> gr.themes.Base:
    """Gradio's default look in quiet colors that can be read, with the fonts that the computer has."""
    look = gr.themes.Default(
        primary_hue="teal",
        secondary_hue="teal",
        neutral_hue="stone",
        radius_size="lg",
        font=FONTS,
        font_mono=MONO_FONTS,
    )
    return look.set(
        body_text_color_subdued="*neutral_600",
        block_info_text_color="*neutral_600",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
    )
