// Before the first paint: the theme that was chosen here, where one was.
const theme = localStorage.getItem("lace-theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
