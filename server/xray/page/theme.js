// The theme, set before the first paint: a classic script, since a module would run after it.
// It is kept for the tab only (sessionStorage); without a choice it is as the system says.
"use strict";
{
  const THEMES = ["", "light", "dark"];
  const root = document.documentElement;
  const stored = () => {
    try {
      return sessionStorage.getItem("theme") ?? "";
    } catch {
      return ""; // storage is switched off
    }
  };
  const show = (theme) => {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  show(stored());

  /** The next theme: system, light, dark, and round again. Hands back its name. */
  globalThis.nextTheme = () => {
    const theme = THEMES[(THEMES.indexOf(root.dataset.theme ?? "") + 1) % THEMES.length];
    try {
      sessionStorage.setItem("theme", theme);
    } catch {
      // then it lasts until the page is loaded again
    }
    show(theme);
    return theme;
  };
}
