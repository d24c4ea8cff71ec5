// Ties each video to the joint charts under it: a cursor follows the video, and pointing at a chart moves both.
"use strict";
for (const clip of document.querySelectorAll(".clip")) {
  const video = clip.querySelector("video");
  const svg = clip.querySelector(".joints svg");
  const plots = JSON.parse(clip.dataset.plots);
  const frames = Number(clip.dataset.frames);
  // The last frame is shown for one period, at whose start time in the charts has ended.
  const endOfCharts = () => (video.duration || 1) * (frames - 1) / frames;
  const cursors = plots.map(([, , top, bottom]) => {
    const line = document.createElementNS(svg.namespaceURI, "line");
    line.setAttribute("class", "cursor");
    line.setAttribute("y1", top);
    line.setAttribute("y2", bottom);
    svg.append(line);
    return line;
  });
  const move = () => {
    const progress = Math.min(1, video.currentTime / endOfCharts());
    plots.forEach(([left, right], index) => {
      const x = left + progress * (right - left);
      cursors[index].setAttribute("x1", x);
      cursors[index].setAttribute("x2", x);
    });
    if (!video.paused) requestAnimationFrame(move);
  };
  for (const event of ["play", "seeked", "loadedmetadata"]) video.addEventListener(event, move);
  move();

  video.controls = false; // they would cover a quarter of so small a picture
  video.addEventListener("click", () => {
    clip.classList.toggle("stopped", !video.paused);
    if (video.paused) video.play(); else video.pause();
  });
  svg.addEventListener("pointermove", (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const plot = plots.find(([left, right, top, bottom]) =>
      point.x >= left && point.x <= right && point.y >= top && point.y <= bottom);
    if (!plot) return;
    video.pause();
    video.currentTime = (point.x - plot[0]) / (plot[1] - plot[0]) * endOfCharts();
  });
  svg.addEventListener("pointerleave", () => { if (!clip.classList.contains("stopped")) video.play(); });
}
if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) target.pause();
      else if (!target.closest(".clip").classList.contains("stopped")) target.play().catch(() => {});
    }
  }, { threshold: 0.25 });
  document.querySelectorAll("video").forEach((video) => observer.observe(video));
}
