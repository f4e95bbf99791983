// What changed, asked for once a second: one answer holds the rows that changed since the last one.

const EVERY_MS = 1000;
const HIDDEN_EVERY_MS = 10000;

export class Feed {
  constructor(base, onNews, onSilence) {
    this.base = base;
    this.onNews = onNews;
    this.onSilence = onSilence;
    this.version = 0;
    this.epoch = "";
    document.addEventListener("visibilitychange", () => document.hidden || this.soon());
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), 0);
  }

  async ask() {
    clearTimeout(this.timer);
    try {
      const response = await fetch(`${this.base}/news?since=${this.version}&epoch=${this.epoch}`, { credentials: "same-origin" });
      if (!response.ok || response.redirected) throw new Error(`HTTP ${response.status}`);
      const news = await response.json();
      this.version = news.version;
      this.epoch = news.epoch;
      this.onNews(news);
    } catch (error) {
      this.onSilence(error);
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), document.hidden ? HIDDEN_EVERY_MS : EVERY_MS);
  }
}
