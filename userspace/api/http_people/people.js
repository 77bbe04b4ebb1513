// SPDX-License-Identifier: Apache-2.0
// The page of posts and people. It asks this node by POST /api/v1/METHOD and follows GET /events. What
// it shows comes from any node: it is written as text, never as markup.
"use strict";

let token = null;

const byId = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
	const made = Object.assign(document.createElement(name), properties);
	made.append(...children);
	return made;
}

function toast(text, isFault = false) {
	const shown = element("p", { textContent: text, className: isFault ? "fault" : "" });
	byId("toasts").append(shown);
	setTimeout(() => shown.remove(), 6000);
}

// --- the node ---

class Refused extends Error {}

async function ask(method, parameters = {}) {
	const answer = await fetch(`/api/v1/${method}`, {
		method: "POST",
		headers: { "Content-Type": "application/json", "X-Weft-Token": token },
		body: JSON.stringify(parameters),
	});
	if (answer.status === 401 || answer.status === 403) {
		lock("What this page may do has ended.");
		throw new Refused("the page's token has ended");
	}
	const said = await answer.json();
	if (!answer.ok)
		throw new Refused(said.message ?? said.error);
	return said;
}

// Says what went wrong, where a person asked for something.
async function attempt(work) {
	try {
		return await work();
	} catch (fault) {
		toast(fault.message, true);
		return undefined;
	}
}

function lock(why) {
	token = null;
	byId("app").hidden = true;
	byId("locked").hidden = false;
	if (why)
		byId("locked-why").textContent = why;
}

// The code behind the '#' is good once: it leaves the address before anything else happens.
async function redeem() {
	const code = new URLSearchParams(location.hash.slice(1)).get("t");
	history.replaceState(null, "", location.pathname);
	if (!code)
		return lock();
	const answer = await fetch("/page/token", { method: "POST", body: new URLSearchParams({ t: code }) });
	const said = await answer.json();
	if (!answer.ok)
		return lock(said.message);
	token = said.token;
	return open();
}

async function open() {
	byId("app").hidden = false;
	await attempt(begin);
}

async function begin() {
	const { social } = await ask("ShowSocial");
	byId("me").textContent = social.person;
}

addEventListener("hashchange", redeem);
redeem().catch((fault) => lock(fault.message));
