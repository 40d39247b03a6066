/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/puller_internal.h"

#include <stdlib.h>
#include <string.h>

#include "proto/log.h"

#define HEARTBEAT_MS 500 /* the longest sleep */
#define DISK_LOOK_MS 10  /* what is done in the background wakes us sooner */

enum sh_cause sh_puller_new(const struct sh_puller_ops *ops, void *user, sh_ms now,
                            struct sh_puller **ret_puller)
{
    struct sh_puller *puller = calloc(1, sizeof(*puller));
    if (!puller)
        return SH_ENV_NO_MEMORY;
    puller->ops = ops;
    puller->user = user;
    sh_patience_begin(&puller->patience, now);
    puller->disk = puller->reads = SH_NEVER;
    puller->progress_item = UINT32_MAX;
    *ret_puller = puller;
    return SH_OK;
}

static void close_stores(struct sh_puller *puller)
{
    for (size_t i = 0; puller->items && i < puller->count; i++) {
        sh_puller_older_end(&puller->items[i]);
        sh_store_item_close(puller->items[i].store);
        puller->items[i].store = NULL;
    }
}

void sh_puller_free(struct sh_puller *puller)
{
    if (!puller)
        return;
    close_stores(puller);
    for (size_t i = 0; puller->items && i < puller->count; i++)
        free(puller->items[i].info.path);
    free(puller->items);
    free(puller->roots);
    free(puller->signature);
    free(puller);
}

void sh_puller_leave(struct sh_puller *puller)
{
    puller->over = true;
    close_stores(puller);
}

void sh_puller_end(struct sh_puller *puller, enum sh_cause cause)
{
    if (puller->over)
        return;
    puller->over = true;
    close_stores(puller);
    sh_log("puller: over, %s", sh_cause_info(cause)->name);
    puller->ops->done(cause, puller->user);
}

/* ---- links ---- */

struct sh_pull_link *sh_puller_link(struct sh_puller *puller, sh_link_id id)
{
    for (size_t i = 0; i < SH_PULL_LINKS; i++) {
        if (id != 0 && puller->links[i].id == id)
            return &puller->links[i];
    }
    return NULL;
}

static bool is_preferred(const struct sh_pull_link *link, const struct sh_pull_link *to)
{
    if (link->proven != to->proven)
        return link->proven;
    return link->proven ? link->rank < to->rank : link->order < to->order;
}

struct sh_pull_link *sh_puller_best_link(struct sh_puller *puller)
{
    struct sh_pull_link *best = NULL;
    for (size_t i = 0; i < SH_PULL_LINKS; i++) {
        struct sh_pull_link *link = &puller->links[i];
        if (link->id != 0 && (!best || is_preferred(link, best)))
            best = link;
    }
    return best;
}

static void orphan_ask(struct sh_pull_ask *ask, sh_link_id link)
{
    if (ask->link == link)
        ask->link = 0;
}

static void orphan_item(struct sh_pull_item *item, sh_link_id link)
{
    orphan_ask(&item->root_ask, link);
    if (item->older)
        orphan_ask(&item->older->ask, link);
}

static void forget_link(struct sh_puller *puller, sh_link_id id, sh_ms now)
{
    struct sh_pull_link *link = sh_puller_link(puller, id);
    if (!link)
        return;
    link->id = 0;
    sh_puller_orphan(puller, id);
    orphan_ask(&puller->manifest_ask, id);
    orphan_ask(&puller->receipt_ask, id);
    for (size_t i = 0; i < puller->count; i++)
        orphan_item(&puller->items[i], id);
    if (!sh_puller_best_link(puller))
        sh_patience_no_link(&puller->patience, now);
}

bool sh_puller_send(struct sh_puller *puller, sh_link_id link, unsigned type,
                    const ProtobufCMessage *message)
{
    if (puller->ops->send(link, type, message, puller->user) == SH_OK)
        return true;
    forget_link(puller, link, puller->patience.last - puller->patience.skew);
    return false;
}

/* ---- requests that are asked again ---- */

static struct sh_pull_link *answering_link(struct sh_puller *puller)
{
    struct sh_pull_link *best = NULL;
    for (size_t i = 0; i < SH_PULL_LINKS; i++) {
        struct sh_pull_link *link = &puller->links[i];
        if (link->id != 0 && (!best || link->unanswered < best->unanswered ||
                              (link->unanswered == best->unanswered && is_preferred(link, best))))
            best = link;
    }
    return best;
}

bool sh_puller_ask_due(struct sh_puller *puller, const struct sh_pull_ask *ask, sh_ms wait,
                       sh_ms now, sh_link_id *ret_link)
{
    const struct sh_pull_link *link = NULL;
    if (ask->link != 0 && now - ask->asked < wait)
        return false;
    link = answering_link(puller);
    if (!link)
        return false;
    *ret_link = link->id;
    return true;
}

bool sh_puller_ask_spent(struct sh_puller *puller, const struct sh_pull_ask *ask, unsigned most)
{
    const struct sh_pull_link *link = answering_link(puller);
    return ask->link != 0 && ask->silent + 1 >= most && (!link || link->unanswered > 0);
}

void sh_puller_asked(struct sh_puller *puller, struct sh_pull_ask *ask, sh_link_id id, sh_ms now)
{
    struct sh_pull_link *link = sh_puller_link(puller, id);
    *ask = (struct sh_pull_ask){
        .asks = ask->asks + 1, .silent = ask->silent + (ask->link != 0), .link = id, .asked = now};
    if (link)
        link->unanswered++;
}

static void ask_manifest(struct sh_puller *puller, sh_ms now)
{
    Simhop__ManifestRequest message = SIMHOP__MANIFEST_REQUEST__INIT;
    struct sh_pull_ask *ask = &puller->manifest_ask;
    sh_link_id link = 0;
    if (puller->items || !sh_puller_ask_due(puller, ask, SH_MANIFEST_MS, now, &link))
        return;
    if (sh_puller_ask_spent(puller, ask, SH_MANIFEST_ASKS)) {
        sh_fail(SH_TRANSFER_STALLED, "no list of items came");
        sh_puller_end(puller, SH_TRANSFER_STALLED);
        return;
    }
    if (sh_puller_send(puller, link, SH_MSG_MANIFEST_REQUEST, &message.base))
        sh_puller_asked(puller, ask, link, now);
}

/* ---- progress ---- */

void sh_puller_progress(struct sh_puller *puller, uint32_t index, bool at_once, sh_ms now)
{
    const struct sh_puller_item *item = &puller->items[index].info;
    const struct sh_pull_link *link = sh_puller_best_link(puller);
    Simhop__Progress message = SIMHOP__PROGRESS__INIT;
    if (!at_once && now - puller->progress_at < SH_PROGRESS_MS) {
        puller->progress_item = index;
        return;
    }
    puller->progress_at = now;
    puller->progress_item = UINT32_MAX;
    message.item = index;
    message.verified = item->verified;
    message.total = item->size;
    if (link)
        (void)sh_puller_send(puller, link->id, SH_MSG_PROGRESS, &message.base);
    puller->ops->progress(index, item, puller->progress_link, puller->user);
}

/* ---- the engine ---- */

/* Does whatever can be done now. */
static void pump(struct sh_puller *puller, sh_ms now)
{
    enum sh_cause cause = SH_OK;
    puller->inside = true;
    if (!puller->over)
        ask_manifest(puller, now);
    if (!puller->over && puller->items)
        cause = sh_puller_collect(puller, now);
    if (!puller->over && puller->items && cause == SH_OK)
        cause = sh_puller_advance(puller, now);
    if (!puller->over && puller->items && cause == SH_OK)
        cause = sh_puller_fill(puller, now);
    if (cause != SH_OK)
        sh_puller_end(puller, cause);
    puller->inside = false;
}

void sh_puller_link_up(struct sh_puller *puller, sh_link_id id, int kind, unsigned rank, sh_ms now)
{
    sh_ms clock = sh_patience_clock(&puller->patience, now);
    if (puller->over || id == 0 || sh_puller_link(puller, id))
        return;
    for (size_t i = 0; i < SH_PULL_LINKS; i++) {
        if (puller->links[i].id != 0)
            continue;
        puller->links[i] =
            (struct sh_pull_link){.id = id, .kind = kind, .rank = rank, .active = clock};
        puller->links[i].order = ++puller->link_order;
        sh_patience_link_up(&puller->patience, clock);
        pump(puller, clock);
        return;
    }
    sh_log("puller: link %u is one too many, not used", id);
}

void sh_puller_link_down(struct sh_puller *puller, sh_link_id id, sh_ms now)
{
    sh_ms clock = sh_patience_clock(&puller->patience, now);
    if (puller->over || !sh_puller_link(puller, id))
        return;
    forget_link(puller, id, clock);
    if (!puller->inside) /* else who runs goes on with the links that are left */
        pump(puller, clock);
}

void sh_puller_links_expected(struct sh_puller *puller, sh_ms until)
{
    puller->patience.expected = until;
}

void sh_puller_rx(struct sh_puller *puller, sh_link_id id, unsigned type, struct sh_bytes payload,
                  sh_ms now)
{
    sh_ms clock = sh_patience_clock(&puller->patience, now);
    struct sh_pull_link *link = sh_puller_link(puller, id);
    const struct sh_msg_info *info = sh_msg_info(type);
    enum sh_cause cause = SH_OK;
    if (puller->over || !link)
        return;
    puller->inside = true;
    link->unanswered = 0;
    if (type == SH_MSG_LEAF)
        cause = sh_puller_rx_leaf(puller, link, payload);
    else if (type == SH_MSG_MANIFEST)
        cause = sh_puller_rx_manifest(puller, payload, clock);
    else if (type == SH_MSG_LEAF_HASHES)
        cause = sh_puller_rx_leaf_hashes(puller, payload, clock);
    else if (type == SH_MSG_ROOT)
        cause = sh_puller_rx_root(puller, payload, clock);
    else if (type == SH_MSG_PROGRESS)
        cause = sh_puller_rx_progress(puller, payload, clock);
    else if (type == SH_MSG_RECEIPT_ACK)
        cause = sh_puller_rx_receipt_ack(puller, payload);
    else
        cause = sh_fail(SH_PROTO_WRONG_STATE, "%s is not for the secondary",
                        info ? info->name : "a message");
    if (cause != SH_OK)
        sh_puller_end(puller, cause);
    pump(puller, clock);
}

static void drop_stalled(struct sh_puller *puller, sh_ms now)
{
    for (size_t i = 0; i < SH_PULL_LINKS && !puller->over; i++) {
        sh_link_id id = sh_puller_stalled_link(puller, now);
        if (id == 0)
            return;
        sh_log("puller: link %u gave nothing for %d ms, dropped", id, SH_STALL_MS);
        forget_link(puller, id, now); /* before the call, which may tell us that it is down */
        puller->ops->drop_link(id, SH_LINK_STALLED, puller->user);
    }
}

static void check_end(struct sh_puller *puller, sh_ms now)
{
    bool receipt = puller->items && puller->first == puller->count;
    enum sh_patience_end end =
        sh_patience_look(&puller->patience, sh_puller_hash_budget(puller), now);
    if (puller->over || end == SH_PATIENCE_LASTS)
        return;
    sh_puller_end(puller,
                  sh_fail(receipt ? SH_RECEIPT_TIMEOUT : SH_TRANSFER_STALLED, "%s",
                          end == SH_PATIENCE_NO_LINK ? "no link is up"
                                                     : "the links that are up gave nothing"));
}

static bool take_over(struct sh_puller *puller, sh_ms now)
{
    bool more = false;
    if (puller->over || !puller->items)
        return false;
    enum sh_cause cause = sh_puller_take_over(puller, now, &more);
    if (cause != SH_OK)
        sh_puller_end(puller, cause);
    return more;
}

sh_ms sh_puller_tick(struct sh_puller *puller, sh_ms now)
{
    sh_ms clock = sh_patience_clock(&puller->patience, now);
    if (puller->over)
        return SH_NEVER;
    puller->inside = true;
    drop_stalled(puller, clock);
    check_end(puller, clock);
    sh_puller_hurry(puller);
    bool more = take_over(puller, clock);
    pump(puller, clock);
    if (puller->over)
        return SH_NEVER;
    if (more || puller->more_work)
        return now;
    if (puller->disk != SH_NEVER)
        return now + DISK_LOOK_MS;
    if (puller->progress_item == UINT32_MAX)
        return now + HEARTBEAT_MS;
    sh_puller_progress(puller, puller->progress_item, false, clock);
    return now + SH_PROGRESS_MS;
}

/* ---- what the session looks at ---- */

size_t sh_puller_item_count(const struct sh_puller *puller)
{
    return puller->count;
}

const struct sh_puller_item *sh_puller_item(const struct sh_puller *puller, size_t index)
{
    return index < puller->count ? &puller->items[index].info : NULL;
}

uint64_t sh_puller_left(const struct sh_puller *puller)
{
    uint64_t left = 0;
    for (size_t i = 0; puller->items && i < puller->count; i++) {
        const struct sh_pull_item *item = &puller->items[i];
        left +=
            item->older ? sh_puller_older_left(item->older) : item->info.size - item->info.verified;
    }
    return left;
}

uint64_t sh_puller_bytes(const struct sh_puller *puller, int kind)
{
    return kind >= 0 && kind < SH_PULL_KINDS ? puller->bytes[kind] : 0;
}

uint64_t sh_puller_resumed(const struct sh_puller *puller)
{
    return puller->resumed;
}

const struct sh_patience *sh_puller_patience(const struct sh_puller *puller)
{
    return &puller->patience;
}
