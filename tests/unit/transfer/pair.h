/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A puller and a server back to back over links of a virtual world: messages take the time that
 * their link needs for them, and a fault function decides what becomes of each. Real files, virtual
 * time.
 */
#ifndef SIMHOP_TESTS_TRANSFER_PAIR_H
#define SIMHOP_TESTS_TRANSFER_PAIR_H

#include "proto/stream.h"
#include "transfer/puller.h"
#include "transfer/server.h"
#include "unit/transfer/util.h"

#define BLE         SIMHOP__LINK_KIND__LINK_KIND_BLE
#define LAN         SIMHOP__LINK_KIND__LINK_KIND_LAN
#define WIFI_DIRECT SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT
#define PAIR_LINKS  128
#define PAIR_ITEMS  1024

enum to { TO_ANCHOR, TO_SECONDARY };
enum fate { PASS, LOSE, DOUBLE, BEND };

struct message {
    struct message *next;
    sh_ms sent, due;
    enum to to;
    sh_link_id link;
    unsigned type;
    size_t n;
    uint8_t bytes[];
};

struct pair_link {
    int kind;
    unsigned rank;
    bool up;
    bool silent;   /* takes everything, moves nothing */
    uint64_t rate; /* octets a ms */
    sh_ms delay, busy[2];
};

struct pair;
typedef enum fate (*fate_fn)(struct pair *pair, enum to to, sh_link_id link, unsigned type);

struct pair {
    char folder[PATH_SIZE];
    sh_ms now, tick;
    struct message *queue;
    struct pair_link links[PAIR_LINKS + 1];
    unsigned link_count;
    fate_fn fate;
    void (*event)(struct pair *pair); /* before each step */
    uint64_t rng;

    uint8_t *contents[PAIR_ITEMS];
    struct sh_item *items[PAIR_ITEMS];
    uint64_t sizes[PAIR_ITEMS];
    size_t count;
    struct sh_server *server;
    enum sh_cause server_cause;
    struct sh_store *store;
    struct sh_puller *puller;

    unsigned seen[64]; /* messages of a type, delivered or not */
    unsigned finished, dropped, receipts, progress, disk_waits, anchor_reads;
    sh_ms anchor_step_ms, anchor_next; /* for what the anchor does at once; 0: no time */
    struct sh_worker *worker;          /* NULL: the store does all at once */
    uint64_t told;                     /* to the anchor: verified octets of the last progress */
    bool over;
    bool stop;                                 /* pair_run returns */
    bool have;                                 /* items with "had" in their names */
    bool replace;                              /* what stands under an item's name */
    bool knows_not;                            /* the anchor: to answer for leaf hashes */
    char older[SH_STORE_OLDER][2 * PATH_SIZE]; /* copies of any item */
    enum sh_cause refuse, refuse_finishing;
    enum sh_cause result;
};

SH_UNUSED static uint64_t pair_random(struct pair *pair)
{
    pair->rng ^= pair->rng << 13;
    pair->rng ^= pair->rng >> 7;
    pair->rng ^= pair->rng << 17;
    return pair->rng;
}

/* ---- the air ---- */

static void queue_add(struct pair *pair, struct message *message)
{
    struct message **at = &pair->queue;
    while (*at && (*at)->due <= message->due)
        at = &(*at)->next;
    message->next = *at;
    *at = message;
}

static void queue_drop_link(struct pair *pair, sh_link_id link)
{
    for (struct message **at = &pair->queue; *at;) {
        struct message *message = *at;
        if (message->link != link) {
            at = &message->next;
            continue;
        }
        *at = message->next;
        free(message);
    }
}

static void air_put(struct pair *pair, enum to to, sh_link_id id, unsigned type,
                    struct sh_bytes bytes, bool bend)
{
    struct pair_link *link = &pair->links[id];
    struct message *message = malloc(sizeof(*message) + bytes.n);
    assert_non_null(message);
    sh_ms start = SH_MAX(pair->now, link->busy[to]);
    link->busy[to] = start + (bytes.n + SH_FRAME_HEADER) / link->rate;
    *message = (struct message){.to = to,
                                .link = id,
                                .type = type,
                                .n = bytes.n,
                                .sent = link->silent ? SH_NEVER : link->busy[to],
                                .due = link->silent ? SH_NEVER : link->busy[to] + link->delay};
    if (bytes.n > 0)
        memcpy(message->bytes, bytes.p, bytes.n);
    if (bend && bytes.n > 0)
        message->bytes[bytes.n - 1] ^= 1;
    queue_add(pair, message);
}

static enum sh_cause air_send(struct pair *pair, enum to to, sh_link_id id, unsigned type,
                              struct sh_bytes bytes)
{
    assert_in_range(id, 1, pair->link_count);
    if (!pair->links[id].up)
        return SH_CONNECT_LOST;
    assert_true(bytes.n <= sh_msg_info(type)->cap);
    pair->seen[type]++;
    enum fate fate = pair->fate ? pair->fate(pair, to, id, type) : PASS;
    if (fate != LOSE)
        air_put(pair, to, id, type, bytes, fate == BEND);
    if (fate == DOUBLE)
        air_put(pair, to, id, type, bytes, false);
    return SH_OK;
}

static enum sh_cause air_send_message(struct pair *pair, enum to to, sh_link_id id, unsigned type,
                                      const ProtobufCMessage *message)
{
    uint8_t *frame = NULL;
    size_t n = 0;
    assert_ok(sh_msg_frame(type, message, &frame, &n));
    enum sh_cause cause =
        air_send(pair, to, id, type, SH_BYTES(frame + SH_FRAME_HEADER, n - SH_FRAME_HEADER));
    free(frame);
    return cause;
}

/* ---- links come and go ---- */

static sh_link_id pair_link_up(struct pair *pair, int kind, unsigned rank, uint64_t rate,
                               sh_ms delay)
{
    sh_link_id id = ++pair->link_count;
    assert_true(id <= PAIR_LINKS);
    pair->links[id] =
        (struct pair_link){.kind = kind, .rank = rank, .up = true, .rate = rate, .delay = delay};
    sh_server_link_up(pair->server, id);
    sh_puller_link_up(pair->puller, id, kind, rank, pair->now);
    return id;
}

static void pair_link_down(struct pair *pair, sh_link_id id)
{
    if (!pair->links[id].up)
        return;
    pair->links[id].up = false;
    queue_drop_link(pair, id);
    sh_server_link_down(pair->server, id);
    sh_puller_link_down(pair->puller, id, pair->now);
}

/* From now on nothing is delivered, what is on its way neither; or all of that at once. */
SH_UNUSED static void pair_link_silence(struct pair *pair, sh_link_id id, bool silent)
{
    struct message *held = NULL, **last = &held;
    pair->links[id].silent = silent;
    for (struct message **at = &pair->queue; *at;) {
        struct message *message = *at;
        if (message->link != id) {
            at = &message->next;
            continue;
        }
        *at = message->next;
        message->next = NULL;
        *last = message;
        last = &message->next;
    }
    while (held) {
        struct message *message = held;
        held = message->next;
        message->sent = message->due = silent ? SH_NEVER : pair->now + 1;
        queue_add(pair, message);
    }
}

/* ---- the anchor ---- */

static enum sh_cause anchor_send(sh_link_id link, unsigned type, const ProtobufCMessage *message,
                                 void *user)
{
    const struct pair *pair = user;
    if (type == SH_MSG_MANIFEST && pair->knows_not) {
        Simhop__Manifest manifest = *(const Simhop__Manifest *)message;
        manifest.leaf_hashes = false;
        return air_send_message(user, TO_SECONDARY, link, type, &manifest.base);
    }
    return air_send_message(user, TO_SECONDARY, link, type, message);
}

static enum sh_cause anchor_send_leaf(sh_link_id link, const struct sh_leaf *leaf, void *user)
{
    static uint8_t payload[SH_LEAF_OVERHEAD + SH_LEAF_SIZE];
    sh_leaf_head(leaf, payload);
    memcpy(payload + SH_LEAF_OVERHEAD, leaf->data.p, leaf->data.n);
    return air_send(user, TO_SECONDARY, link, SH_MSG_LEAF,
                    SH_BYTES(payload, SH_LEAF_OVERHEAD + leaf->data.n));
}

#define CARRIER ((size_t)1024 * 1024) /* octets that it takes itself, as a socket does */

static size_t anchor_pending(sh_link_id link, void *user)
{
    const struct pair *pair = user;
    size_t n = 0;
    for (const struct message *m = pair->queue; m; m = m->next) {
        if (m->link == link && m->to == TO_SECONDARY && m->sent > pair->now)
            n += m->n + SH_FRAME_HEADER;
    }
    return n > CARRIER ? n - CARRIER : 0;
}

static void anchor_progress(uint32_t item, uint64_t verified, uint64_t total, void *user)
{
    struct pair *pair = user;
    assert_true(item < pair->count);
    assert_int_equal(total, pair->sizes[item]);
    assert_true(verified <= total);
    pair->told = verified;
}

static enum sh_cause anchor_receipt(const Simhop__Receipt *receipt, void *user)
{
    struct pair *pair = user;
    assert_int_equal(receipt->n_roots, pair->count);
    assert_int_equal(receipt->n_sha256, pair->count);
    for (size_t i = 0; i < pair->count; i++) {
        uint8_t sha256[32];
        const struct sh_bytes all = SH_BYTES(pair->contents[i], pair->sizes[i]);
        assert_ok(sh_sha256(&all, 1, sha256));
        assert_int_equal(receipt->sha256[i].len, 32);
        assert_memory_equal(receipt->sha256[i].data, sha256, 32);
    }
    assert_int_equal(receipt->signature.len, 4);
    pair->receipts++;
    sh_server_receipt_kept(pair->server);
    return SH_OK;
}

static const struct sh_server_ops server_ops = {.send = anchor_send,
                                                .send_leaf = anchor_send_leaf,
                                                .pending = anchor_pending,
                                                .progress = anchor_progress,
                                                .receipt = anchor_receipt};

/* ---- the secondary ---- */

static enum sh_cause secondary_send(sh_link_id link, unsigned type, const ProtobufCMessage *message,
                                    void *user)
{
    struct pair *pair = user;
    assert_false(pair->over);
    return air_send_message(pair, TO_ANCHOR, link, type, message);
}

static void secondary_drop(sh_link_id link, enum sh_cause cause, void *user)
{
    struct pair *pair = user;
    assert_false(pair->over);
    assert_cause(cause, SH_LINK_STALLED);
    pair->dropped++;
    pair_link_down(pair, link);
}

static bool secondary_have(struct sh_puller_item *item, void *user)
{
    const struct pair *pair = user;
    if (!pair->have || !strstr(item->name, "had"))
        return false;
    for (size_t i = 0; i < pair->count; i++) {
        const struct sh_bytes all = SH_BYTES(pair->contents[i], pair->sizes[i]);
        if (strcmp(sh_item_name(pair->items[i]), item->name) != 0)
            continue;
        reference_root(pair->contents[i], pair->sizes[i], item->root);
        assert_ok(sh_sha256(&all, 1, item->sha256));
    }
    item->path = strdup("/somewhere");
    return true;
}

static enum sh_cause secondary_store(const struct sh_puller_item *item, struct sh_store **ret_store,
                                     bool *ret_replace, void *user)
{
    struct pair *pair = user;
    *ret_store = pair->store;
    *ret_replace = item->kind == SIMHOP__ITEM_KIND__ITEM_KIND_BUNDLE || pair->replace;
    return SH_OK;
}

static enum sh_cause secondary_older(const struct sh_puller_item *item SH_UNUSED,
                                     char *paths[SH_STORE_OLDER], void *user)
{
    const struct pair *pair = user;
    for (size_t i = 0; i < SH_STORE_OLDER && pair->older[i][0]; i++)
        paths[i] = strdup(pair->older[i]);
    return SH_OK;
}

static void secondary_progress(uint32_t index, const struct sh_puller_item *item,
                               sh_link_id link SH_UNUSED, void *user)
{
    struct pair *pair = user;
    assert_false(pair->over);
    assert_true(index < sh_puller_item_count(pair->puller));
    assert_true(item->verified <= item->size);
    pair->progress++;
}

/* What is about to appear is not there yet. */
static enum sh_cause secondary_finishing(uint32_t index, const struct sh_puller_item *item,
                                         void *user)
{
    const struct pair *pair = user;
    assert_int_equal(index, pair->finished);
    assert_int_not_equal(item->mtime_ns, 0);
    assert_true(pair->replace || access(item->path, F_OK) == -1);
    return pair->refuse_finishing;
}

static enum sh_cause secondary_finished(uint32_t index, struct sh_puller_item *item, void *user)
{
    struct pair *pair = user;
    assert_int_equal(index, pair->finished); /* in order */
    assert_int_equal(item->verified, item->size);
    if (strcmp(item->path, "/somewhere") != 0) {
        const struct sh_bytes all = SH_BYTES(pair->contents[index], pair->sizes[index]);
        uint8_t sha[32];
        assert_ok(sh_sha256(&all, 1, sha));
        assert_memory_equal(item->sha256, sha, 32);
        assert_true(file_is(item->path, all.p, all.n));
    }
    pair->finished++;
    return pair->refuse;
}

static enum sh_cause secondary_sign(struct sh_bytes part, uint8_t **ret_signature, size_t *ret_len,
                                    void *user)
{
    const struct pair *pair = user;
    assert_int_equal(part.n, 20 + 32 * pair->count);
    *ret_signature = (uint8_t *)strdup("sign");
    *ret_len = 4;
    return SH_OK;
}

static void secondary_done(enum sh_cause cause, void *user)
{
    struct pair *pair = user;
    assert_false(pair->over); /* once */
    pair->over = true;
    pair->result = cause;
}

static void secondary_disk_waits(void *user)
{
    struct pair *pair = user;
    pair->disk_waits++;
}

static void secondary_anchor_reads(const struct sh_puller_item *item, uint64_t octets, void *user)
{
    struct pair *pair = user;
    assert_in_range(octets, 1, item->size);
    for (size_t i = 0; i < pair->count; i++) /* all is here */
        assert_int_equal(sh_puller_item(pair->puller, i)->verified, pair->sizes[i]);
    pair->anchor_reads++;
}

static const struct sh_puller_ops puller_ops = {.send = secondary_send,
                                                .drop_link = secondary_drop,
                                                .have = secondary_have,
                                                .store = secondary_store,
                                                .older = secondary_older,
                                                .disk_waits = secondary_disk_waits,
                                                .anchor_reads = secondary_anchor_reads,
                                                .progress = secondary_progress,
                                                .finishing = secondary_finishing,
                                                .finished = secondary_finished,
                                                .sign = secondary_sign,
                                                .done = secondary_done};

/* ---- the world ---- */

static void pair_begin(struct pair *pair)
{
    *pair = (struct pair){.now = 1000, .rng = 0x2545f4914f6cdd1d};
    snprintf(pair->folder, sizeof(pair->folder), "/dev/shm/simhop-test-XXXXXX");
    if (!mkdtemp(pair->folder))
        make_folder(pair->folder);
}

static void pair_open_item(struct pair *pair, size_t i, const char *name)
{
    static const uint8_t anchor[16] = {1};
    assert_ok(sh_item_open_memory(name, SIMHOP__ITEM_KIND__ITEM_KIND_FILE,
                                  SH_BYTES(pair->contents[i], pair->sizes[i]), anchor,
                                  &pair->items[i]));
}

/* Takes the bytes over. */
SH_UNUSED static void pair_item_of(struct pair *pair, const char *name, uint8_t *bytes,
                                   uint64_t size)
{
    size_t i = pair->count++;
    pair->sizes[i] = size;
    pair->contents[i] = bytes;
    pair_open_item(pair, i, name);
}

/* The anchor begins anew and has hashed nothing yet. */
SH_UNUSED static void pair_open_again(struct pair *pair)
{
    for (size_t i = 0; i < pair->count; i++) {
        char name[SH_ITEM_NAME_MAX + 1];
        snprintf(name, sizeof(name), "%s", sh_item_name(pair->items[i]));
        sh_item_free(pair->items[i]);
        pair_open_item(pair, i, name);
    }
}

SH_UNUSED static void pair_item_named(struct pair *pair, const char *name, uint64_t size)
{
    pair_item_of(pair, name, content((unsigned)pair->count, size), size);
}

SH_UNUSED static void pair_item(struct pair *pair, uint64_t size)
{
    char name[32];
    snprintf(name, sizeof(name), "item %zu", pair->count);
    pair_item_named(pair, name, size);
}

/* Begins a session: the items are there. Can be done again after pair_stop. */
static void pair_start(struct pair *pair)
{
    static const uint8_t transfer_id[16] = "transfer id 123";
    pair->over = pair->stop = false;
    pair->finished = pair->link_count = pair->dropped = pair->receipts = 0;
    memset(pair->seen, 0, sizeof(pair->seen));
    pair->tick = pair->now;
    pair->server_cause = SH_OK;
    assert_ok(sh_store_open(pair->folder, &pair->store));
    assert_ok(
        sh_server_new(pair->items, pair->count, transfer_id, &server_ops, pair, &pair->server));
    assert_ok(sh_puller_new(&puller_ops, pair, pair->now, &pair->puller));
}

static void pair_stop(struct pair *pair)
{
    sh_puller_free(pair->puller);
    sh_server_free(pair->server);
    sh_store_closep(&pair->store);
    pair->puller = NULL;
    pair->server = NULL;
    for (sh_link_id id = 1; id <= pair->link_count; id++)
        queue_drop_link(pair, id);
}

/* The anchor shares nothing any more. */
static void pair_drop_items(struct pair *pair)
{
    for (size_t i = 0; i < pair->count; i++) {
        sh_item_free(pair->items[i]);
        free(pair->contents[i]);
    }
    pair->count = 0;
}

static void pair_end(struct pair *pair)
{
    if (pair->puller)
        pair_stop(pair);
    pair_drop_items(pair);
    remove_tree(pair->folder);
}

static void anchor_run(struct pair *pair, enum sh_cause cause)
{
    bool more = cause == SH_OK && pair->now >= pair->anchor_next;
    while (more && cause == SH_OK) {
        cause = sh_server_work(pair->server, &more);
        pair->anchor_next = pair->now + pair->anchor_step_ms;
        more = more && pair->anchor_step_ms == 0;
    }
    if (cause == SH_OK)
        return;
    pair->server_cause = cause; /* the session would send an Abort */
    for (sh_link_id id = 1; id <= pair->link_count; id++)
        pair_link_down(pair, id);
}

static void pair_deliver(struct pair *pair, struct message *message)
{
    struct sh_bytes bytes = SH_BYTES(message->bytes, message->n);
    if (message->to == TO_SECONDARY) {
        sh_puller_rx(pair->puller, message->link, message->type, bytes, pair->now);
        anchor_run(pair, SH_OK); /* there is room again */
    } else {
        anchor_run(pair, sh_server_rx(pair->server, message->link, message->type, bytes));
    }
}

/* Runs until the puller is over, it is told to stop or the time is up; false: the time is up. */
static bool pair_run(struct pair *pair, sh_ms limit)
{
    sh_ms end = pair->now + limit;
    while (!pair->over && !pair->stop) {
        sh_ms next = SH_MIN(pair->tick, pair->queue ? pair->queue->due : SH_NEVER);
        if (next > end) {
            pair->now = end;
            return false;
        }
        sh_worker_await(pair->worker, 60000); /* it takes none of this clock's time */
        pair->now = SH_MAX(pair->now, next);
        if (pair->event)
            pair->event(pair);
        if (pair->anchor_step_ms > 0)
            anchor_run(pair, SH_OK);
        if (pair->queue && pair->queue->due <= pair->now) {
            struct message *message = pair->queue;
            pair->queue = message->next;
            pair_deliver(pair, message);
            free(message);
            pair->tick = pair->now;
        }
        if (!pair->over && pair->tick <= pair->now)
            pair->tick = sh_puller_tick(pair->puller, pair->now);
    }
    return true;
}

static uint64_t pair_total(const struct pair *pair)
{
    uint64_t total = 0;
    for (size_t i = 0; i < pair->count; i++)
        total += pair->sizes[i];
    return total;
}

static uint64_t pair_bytes(const struct pair *pair)
{
    uint64_t total = 0;
    for (int kind = 0; kind < 4; kind++)
        total += sh_puller_bytes(pair->puller, kind);
    return total;
}

/* All is there, counted once, and nothing else is in the folder. */
static void pair_check_done(struct pair *pair)
{
    assert_true(pair->over);
    assert_cause(pair->result, SH_OK);
    assert_int_equal(pair->finished, pair->count);
    assert_int_equal(pair_bytes(pair) + sh_puller_resumed(pair->puller), pair_total(pair));
    assert_int_equal(pair->receipts, 1);
    assert_int_equal(sh_puller_tick(pair->puller, pair->now + 100000), SH_NEVER);
    sh_store_closep(&pair->store);
    assert_false(exists(in_folder(pair->folder, ".simhop")));
}

/* Nothing unfinished has a final name. */
SH_UNUSED static void pair_check_failed(struct pair *pair, enum sh_cause cause)
{
    assert_true(pair->over);
    assert_cause(pair->result, cause);
    for (size_t i = 0; i < pair->count; i++)
        assert_int_equal(exists(in_folder(pair->folder, sh_item_name(pair->items[i]))),
                         i < pair->finished);
}

#endif
