// SPDX-License-Identifier: Apache-2.0
// The page of posts and people. It asks this node by POST /api/v1/METHOD and follows GET /events. What
// it shows comes from any node: it is written as text, never as markup.
"use strict";

const PAGE_LEN = 30;
const UNREAD_MAX = 100;
const TEXT_LEN_MAX = 190000; // bytes; a private text grows by a third as it is sealed
const TABS = ["feed", "mine", "people", "messages", "settings"];

let token = null;
let own = null; // the profile of this node's person
let stream = null; // ends the reading of events
let names = new Map(); // of people, by key
let with_people = null; // keys of the thread that is shown
const cursors = { feed: null, mine: null };
const faces = new Map(); // pictures of keys

const byId = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
	const made = Object.assign(document.createElement(name), properties);
	made.append(...children);
	return made;
}

function button(text, work) {
	const made = element("button", { type: "button", textContent: text });
	made.addEventListener("click", () => attempt(work));
	return made;
}

function toast(text, isFault = false) {
	const shown = element("p", { textContent: text, className: isFault ? "fault" : "" });
	byId("toasts").append(shown);
	setTimeout(() => shown.remove(), 6000);
}

// Says what went wrong, where a person asked for something.
async function attempt(work) {
	try {
		return await work();
	} catch (fault) {
		if (token)
			toast(fault.message, true);
		return undefined;
	}
}

// --- the node ---

async function ask(method, parameters = {}) {
	const answer = await fetch(`/api/v1/${method}`, {
		method: "POST",
		headers: { "Content-Type": "application/json", "X-Weft-Token": token },
		body: JSON.stringify(parameters),
	});
	const said = await answer.json();
	if (answer.status === 401)
		lock("What this page may do has ended.");
	if (!answer.ok)
		throw new Error(said.message ?? said.error);
	return said;
}

// A stream of server-sent events, read by fetch: no other way sends the token in a field.
async function follow() {
	let last = null;
	if (stream)
		return;
	stream = new AbortController();
	while (token) {
		try {
			last = await followOnce(last);
		} catch {
			// The daemon restarts, or the network of a laptop sleeps.
		}
		await new Promise((resolve) => setTimeout(resolve, 2000));
	}
}

async function followOnce(last) {
	const headers = { "X-Weft-Token": token };
	if (last)
		headers["Last-Event-ID"] = last;
	const answer = await fetch("/events", { headers, signal: stream.signal });
	if (answer.status === 401) {
		lock("What this page may do has ended.");
		return last;
	}
	const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	for (;;) {
		const { value, done } = await reader.read();
		if (done)
			return last;
		const parts = (rest + value).split("\n\n");
		rest = parts.pop();
		for (const part of parts) {
			const id = /^id: ?(.*)$/m.exec(part);
			const data = /^data: ?(.*)$/m.exec(part);
			const { kind, missed } = data ? JSON.parse(data[1]) : {};
			last = id ? id[1] : last;
			if (missed || /^(post|dm|person|group)\./.test(kind ?? ""))
				refreshSoon();
		}
	}
}

let refreshTimer = null;
function refreshSoon() {
	refreshTimer ??= setTimeout(() => {
		refreshTimer = null;
		attempt(refresh);
	}, 300);
}

// --- people ---

const short = (key) => `${key.slice(0, 8)}…`;
const nameOf = (key, name) => name || names.get(key) || short(key);

function face(key) {
	const image = element("img", { className: "face", alt: "", title: key });
	if (!faces.has(key))
		faces.set(key, ask("ShowIdenticon", { person: key }).then(({ svg }) => `data:image/svg+xml;base64,${btoa(svg)}`));
	faces.get(key).then((source) => { image.src = source; }, () => faces.delete(key));
	return image;
}

async function loadNames() {
	const { people } = await ask("ListFollowedPeople", { persona: 0 });
	names = new Map(people.map((one) => [one.person, one.name]));
	names.set(own.person, own.name);
	return people;
}

function personRow(key, name, ...more) {
	return element("li", {}, face(key), element("span", { className: "name", textContent: nameOf(key, name) }), ...more);
}

function listOf(id, rows) {
	const list = byId(id);
	list.replaceChildren(...rows);
	const empty = list.parentElement.querySelector(":scope > .empty");
	if (empty && empty.previousElementSibling === list)
		empty.hidden = rows.length > 0;
}

async function showPeople() {
	const people = await loadNames();
	const { circles } = await ask("ListCircles", { persona: 0 });
	const { requests } = await ask("ListRequests");

	listOf("requests", requests.map((one) => personRow(one.person, one.name,
		button("Accept", () => act("AcceptRequest", { person: one.person })),
		button("Refuse", () => act("RefuseRequest", { person: one.person })))));
	listOf("follows", people.map((one) => personRow(one.person, one.name,
		element("span", { className: "quiet", textContent: one.kind === "private" ? "privately" : "friend" }),
		circleChoice(one.person, circles),
		button("Message", () => openThread([one.person])),
		button("Unfollow", () => act("UnfollowPerson", { person: one.person })))));
	listOf("circles", await Promise.all(circles.map(circleRow)));
}

function circleChoice(person, circles) {
	const choice = element("select", { title: "Add to a circle" },
		element("option", { value: "", textContent: "Add to…" }),
		...circles.map((one) => element("option", { value: one.name, textContent: one.name })));
	choice.hidden = circles.length === 0;
	choice.addEventListener("change", () => choice.value &&
		attempt(() => act("AddCircleMember", { circle: choice.value, person })));
	return choice;
}

async function circleRow(circle) {
	const { members } = await ask("ShowCircle", { circle: circle.name, persona: circle.persona });
	return element("li", {}, element("strong", { textContent: circle.name }), " ",
		button("Delete", () => act("DeleteCircle", { circle: circle.name, persona: circle.persona })),
		element("ul", { className: "people" }, ...members.map((one) => personRow(one.person, one.name,
			button("Remove", () => act("RemoveCircleMember", { circle: circle.name, person: one.person }))))));
}

// Does something, and shows what is different then.
async function act(method, parameters) {
	await ask(method, parameters);
	await refresh();
}

// --- posts ---

const AUDIENCES = { public: "everybody", people: "some people", group: "a group" };

function postRow(post, mayReply = true) {
	const written = new Date(post.time_ms);
	const row = element("li", { className: post.unread ? "unread" : "" });
	const tools = element("p", { className: "row" });

	row.dataset.post = post.post_id;
	row.append(element("div", { className: "post-head" }, face(post.author),
		element("strong", { textContent: nameOf(post.author, post.author_name) }),
		element("time", { dateTime: written.toISOString(), textContent: written.toLocaleString() }),
		element("span", { className: "for", textContent: `for ${AUDIENCES[post.audience]}${post.edited ? ", edited" : ""}` })),
		element("p", { className: "post-text", textContent: post.text }));
	for (const part of post.attachments)
		tools.append(element("span", { className: "quiet",
			textContent: `${part.name ?? `attachment ${part.index + 1}`}${part.size == null ? "" : `, ${part.size} bytes`}` }),
			button("Open", () => openAttachment(row, post, part.index)));
	if (mayReply) {
		tools.append(button("Reply", () => replyTo(row, post)));
		tools.append(button("Thread", () => showThread(row, post)));
	}
	if (post.own) {
		tools.append(button("Edit", () => edit(row, post)));
		tools.append(button("Delete", () => sure(row, "Take this post back everywhere?",
			() => act("DeletePost", { post: post.post_id }))));
	}
	row.append(tools);
	return row;
}

// Pictures without a program in them are shown. The bytes of all others are saved, as no type at all.
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);

async function openAttachment(row, post, index) {
	const parts = [];
	let offset = 0, said;

	do {
		said = await ask("ReadAttachment", { post: post.post_id, index, offset });
		parts.push(Uint8Array.from(atob(said.base64), (letter) => letter.charCodeAt(0)));
		offset += parts.at(-1).length;
	} while (offset < said.size && parts.at(-1).length);
	const isShown = PICTURES.has(said.type);
	const url = URL.createObjectURL(new Blob(parts, { type: isShown ? said.type : "application/octet-stream" }));

	if (isShown)
		row.append(element("img", { className: "attached", src: url, alt: said.name ?? "attachment" }));
	else
		element("a", { href: url, download: said.name ?? "attachment" }).click();
	setTimeout(() => URL.revokeObjectURL(url), 60000);
}

// A question below a post, with its answer's button.
function sure(row, question, work) {
	row.querySelector(":scope > .asked")?.remove();
	const asked = element("p", { className: "row asked" }, element("span", { textContent: question }),
		button("Yes", () => { asked.remove(); return work(); }), button("No", () => asked.remove()));
	row.append(asked);
}

// A field for text below a post.
function writeBelow(row, label, text, work) {
	row.querySelector(":scope > form")?.remove();
	const field = element("textarea", { rows: 3, value: text, required: true, ariaLabel: label });
	const form = element("form", {}, field, element("p", { className: "row" },
		element("button", { textContent: label }), button("Cancel", () => form.remove())));
	form.addEventListener("submit", (event) => {
		event.preventDefault();
		attempt(async () => {
			await work(field.value);
			form.remove();
			await refresh();
		});
	});
	row.append(form);
	field.focus();
}

function replyTo(row, post) {
	const once = draw();
	writeBelow(row, "Reply", "", (text) => ask("WritePost", {
		text, reply_to: post.post_id, token: once, mentions: [],
		...(post.audience === "public" ? { to: "public", people: [] }
			: post.audience === "group" ? { to: "group", group: post.group, people: [] }
			: { to: "people", people: [post.author] }),
	}));
}

function edit(row, post) {
	writeBelow(row, "Save", post.text, (text) => ask("EditPost", { post: post.post_id, text, mentions: [] }));
}

async function showThread(row, post) {
	row.querySelector(":scope > .posts")?.remove();
	const { posts } = await ask("ShowThread", { post: post.post_id });
	row.append(element("ol", { className: "posts" }, ...posts.map(({ depth, post: one }) => {
		const shown = postRow(one, false);
		shown.style.marginInlineStart = `${Math.min(depth, 8)}em`;
		return shown;
	})));
}

// A number that makes a call one that is done once.
const draw = () => crypto.randomUUID();

// A person writes, answers or reads a thread there: it is not replaced below them.
const isBusy = (list) => list.querySelector("form, .asked, .posts") !== null;

async function showPosts(tab, isMore) {
	const list = byId(tab);
	const panel = byId(`panel-${tab}`);
	const asked = { limit: PAGE_LEN };
	if (tab === "mine")
		asked.author = own.person;
	else
		asked.mark = !document.hidden;
	if (isMore)
		asked.cursor = cursors[tab];
	const { posts, cursor } = await ask("ReadFeed", asked);
	if (!isMore && isBusy(list))
		return;
	const rows = posts.map((post) => postRow(post));
	if (isMore)
		list.append(...rows);
	else
		list.replaceChildren(...rows);
	cursors[tab] = cursor ?? null;
	panel.querySelector(".empty").hidden = list.children.length > 0 || Boolean(cursors[tab]);
	panel.querySelector(".more").hidden = !cursors[tab];
}

// --- writing ---

// By social distance: circles from the closest, friends, single people, everybody.
async function fillAudience() {
	const choice = byId("compose-audience");
	const chosen = choice.value;
	const people = await loadNames();
	const { circles } = await ask("ListCircles", { persona: 0 });
	const option = (value, text) => element("option", { value, textContent: text });

	choice.replaceChildren(
		...circles.map((one) => option(`circle:${one.name}`, `circle ${one.name} (${one.members})`)),
		option("friends", "friends"),
		...people.map((one) => option(`people:${one.person}`, nameOf(one.person, one.name))),
		option("public", "everybody"));
	choice.value = chosen || "friends";
	if (choice.selectedIndex < 0)
		choice.value = "friends";
}

function audienceChosen() {
	const [to, ...words] = byId("compose-audience").value.split(":");
	const named = words.join(":");
	return { to, people: to === "people" ? [named] : [], ...(to === "circle" ? { circle: named } : {}) };
}

function countText() {
	const text = byId("compose-text").value;
	const len = new TextEncoder().encode(text).length;
	const count = byId("compose-count");
	count.textContent = text ? `${[...text].length} characters` : "";
	count.classList.toggle("fault", len > TEXT_LEN_MAX);
	if (len > TEXT_LEN_MAX)
		count.textContent += ", too long for one post";
}

let composeToken = draw();
async function compose() {
	const field = byId("compose-text");
	await ask("WritePost", { text: field.value, token: composeToken, mentions: [], ...audienceChosen() });
	composeToken = draw();
	field.value = "";
	countText();
	toast("Posted.");
	await refresh();
}

// --- messages ---

async function showMessages() {
	const { threads } = await ask("ListDirects");

	listOf("threads", threads.map((one) => {
		const row = element("li", {},
			...one.people.slice(0, 3).map(face),
			element("span", { className: "name", textContent: one.names }),
			element("span", { className: "quiet", textContent: one.newest.slice(0, 60) }),
			button("Open", () => openThread(one.people)));
		if (one.unread)
			row.append(element("span", { className: "badge", textContent: String(one.unread) }));
		return row;
	}));
	if (with_people)
		await fillThread();
}

async function openThread(people) {
	with_people = people;
	replyToken = draw();
	await choose("messages");
	byId("reply-text").focus();
}

async function fillThread() {
	if (document.hidden)
		return;
	const { messages } = await ask("ShowDirects", { people: with_people, limit: PAGE_LEN });
	if (isBusy(byId("thread-posts")))
		return;
	byId("thread").hidden = false;
	byId("thread-with").textContent = with_people.map((key) => nameOf(key)).join(", ");
	byId("thread-posts").replaceChildren(...messages.reverse().map(({ post, receipts }) => {
		const row = postRow(post, false);
		const read = receipts.filter((one) => one.read).length;
		if (receipts.length)
			row.append(element("p", { className: "quiet",
				textContent: read ? `read by ${read}` : `arrived at ${receipts.length}` }));
		return row;
	}));
}

let replyToken = draw();
async function sendReply() {
	const field = byId("reply-text");
	await ask("SendDirect", { people: with_people, text: field.value, token: replyToken });
	replyToken = draw();
	field.value = "";
	await refresh();
}

// --- settings ---

async function showSettings() {
	const { profile } = await ask("ShowProfile");
	const { personas } = await ask("ListPersonas");
	if (!byId("profile").contains(document.activeElement)) {
		byId("profile-name").value = profile.own_name;
		byId("profile-text").value = profile.text;
	}
	const rows = [["Your key", profile.person], ["Personas", String(personas.length)],
		["Profile of", profile.updated_s ? new Date(profile.updated_s * 1000).toLocaleString() : "never"]];
	byId("diagnostics").replaceChildren(...rows.flatMap(([name, value]) =>
		[element("dt", { textContent: name }), element("dd", { textContent: value })]));
}

async function saveProfile(name, text) {
	await ask("SetProfile", text === undefined ? { name } : { name, text });
	await loadOwn();
	toast("Saved.");
}

async function loadOwn() {
	({ profile: own } = await ask("ShowProfile"));
	byId("me").textContent = own.name || short(own.person);
}

// --- the page ---

const panels = {
	feed: async () => { await fillAudience(); await showPosts("feed", false); },
	mine: () => showPosts("mine", false),
	people: showPeople,
	messages: showMessages,
	settings: showSettings,
};
let chosen = "feed";

function badge(tab, count, max) {
	const shown = byId(`tab-${tab}`).querySelector(".badge");
	shown.hidden = !count;
	shown.textContent = count >= max ? `${max}+` : String(count);
}

async function fillBadges() {
	const { posts } = await ask("ReadFeed", { unread: true, limit: UNREAD_MAX });
	const { requests } = await ask("ListRequests");
	const { threads } = await ask("ListDirects");
	badge("feed", posts.length, UNREAD_MAX);
	badge("people", requests.length, 1000);
	badge("messages", threads.reduce((sum, one) => sum + one.unread, 0), 1000);
}

async function refresh() {
	await panels[chosen]();
	await fillBadges();
}

async function choose(tab) {
	chosen = tab;
	for (const one of TABS) {
		byId(`tab-${one}`).setAttribute("aria-selected", String(one === tab));
		byId(`panel-${one}`).hidden = one !== tab;
	}
	await refresh();
}

function lock(why) {
	token = null;
	stream?.abort();
	stream = null;
	byId("first").close();
	byId("app").hidden = true;
	byId("locked").hidden = false;
	if (why)
		byId("locked-why").textContent = why;
}

function onSubmit(id, work) {
	byId(id).addEventListener("submit", (event) => {
		event.preventDefault();
		attempt(work);
	});
}

function listen() {
	for (const tab of TABS)
		byId(`tab-${tab}`).addEventListener("click", () => attempt(() => choose(tab)));
	for (const tab of ["feed", "mine"])
		byId(`panel-${tab}`).querySelector(".more").addEventListener("click", () => attempt(() => showPosts(tab, true)));
	// Another text, or other readers, are another post.
	for (const field of ["compose-text", "compose-audience"])
		byId(field).addEventListener("input", () => { composeToken = draw(); countText(); });
	byId("reply-text").addEventListener("input", () => { replyToken = draw(); });
	onSubmit("compose", compose);
	onSubmit("reply", sendReply);
	onSubmit("follow", async () => {
		await ask("FollowPerson", { person: byId("follow-key").value.trim(), private: byId("follow-private").checked });
		byId("follow").reset();
		toast("Followed. What they wrote comes when their node is reached.");
		await refresh();
	});
	onSubmit("circle-new", async () => {
		await ask("CreateCircle", { circle: byId("circle-name").value });
		byId("circle-new").reset();
		await refresh();
	});
	onSubmit("profile", () => saveProfile(byId("profile-name").value, byId("profile-text").value));
	onSubmit("first-form", async () => {
		await saveProfile(byId("first-name").value);
		byId("first").close();
		await refresh();
	});
	byId("leave").addEventListener("click", () => attempt(async () => {
		await fetch("/page/token", { method: "DELETE", headers: { "X-Weft-Token": token } });
		lock("This page was ended.");
	}));
}

async function open() {
	byId("locked").hidden = true;
	byId("app").hidden = false;
	await attempt(async () => {
		await loadOwn();
		await choose("feed");
		if (!own.own_name)
			byId("first").showModal();
	});
	follow();
}

// The code behind the '#' is good once: it leaves the address before anything else happens.
async function redeem() {
	const code = new URLSearchParams(location.hash.slice(1)).get("t");
	history.replaceState(null, "", location.pathname);
	if (!code)
		return token ? undefined : lock();
	const answer = await fetch("/page/token", { method: "POST", body: new URLSearchParams({ t: code }) });
	const said = await answer.json();
	if (!answer.ok)
		return lock(said.message);
	token = said.token;
	return open();
}

listen();
addEventListener("hashchange", () => redeem().catch((fault) => lock(fault.message)));
redeem().catch((fault) => lock(fault.message));
