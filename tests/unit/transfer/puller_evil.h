/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A puller in a folder of its own that is told anything, and a manifest that may be bent. */
#ifndef SIMHOP_TESTS_PULLER_EVIL_H
#define SIMHOP_TESTS_PULLER_EVIL_H

#include "transfer/puller.h"
#include "unit/transfer/util.h"

#define LAN SIMHOP__LINK_KIND__LINK_KIND_LAN

static char folder[PATH_SIZE];
static struct sh_store *store;
static struct sh_puller *puller;
static unsigned sent[64], done_count;
static sh_ms at; /* what is given */
static enum sh_cause result;

static inline enum sh_cause on_send(sh_link_id link SH_UNUSED, unsigned type,
                                    const ProtobufCMessage *message SH_UNUSED, void *user SH_UNUSED)
{
    assert_int_equal(done_count, 0);
    sent[type]++;
    return SH_OK;
}

static inline void on_drop(sh_link_id link SH_UNUSED, enum sh_cause cause SH_UNUSED,
                           void *user SH_UNUSED)
{
}

static inline bool on_have(struct sh_puller_item *item SH_UNUSED, void *user SH_UNUSED)
{
    return false;
}

static inline enum sh_cause on_store(const struct sh_puller_item *item SH_UNUSED,
                                     struct sh_store **ret_store, bool *ret_replace,
                                     void *user SH_UNUSED)
{
    *ret_store = store;
    *ret_replace = false;
    return SH_OK;
}

static char older[2 * PATH_SIZE]; /* of any item; empty: there is none */

static inline enum sh_cause on_older(const struct sh_puller_item *item SH_UNUSED,
                                     char *paths[SH_STORE_OLDER], void *user SH_UNUSED)
{
    if (older[0])
        paths[0] = strdup(older);
    return SH_OK;
}

static inline void on_progress(uint32_t index SH_UNUSED,
                               const struct sh_puller_item *item SH_UNUSED,
                               sh_link_id link SH_UNUSED, void *user SH_UNUSED)
{
}

static inline enum sh_cause on_finishing(uint32_t index SH_UNUSED,
                                         const struct sh_puller_item *item SH_UNUSED,
                                         void *user SH_UNUSED)
{
    return SH_OK;
}

static inline enum sh_cause on_finished(uint32_t index SH_UNUSED,
                                        struct sh_puller_item *item SH_UNUSED, void *user SH_UNUSED)
{
    return SH_OK;
}

static inline enum sh_cause on_sign(struct sh_bytes part SH_UNUSED, uint8_t **ret_signature,
                                    size_t *ret_len, void *user SH_UNUSED)
{
    *ret_signature = calloc(1, 70);
    *ret_len = 70;
    return SH_OK;
}

static inline void on_done(enum sh_cause cause, void *user SH_UNUSED)
{
    done_count++;
    result = cause;
}

static const struct sh_puller_ops ops = {.send = on_send,
                                         .drop_link = on_drop,
                                         .have = on_have,
                                         .store = on_store,
                                         .older = on_older,
                                         .progress = on_progress,
                                         .finishing = on_finishing,
                                         .finished = on_finished,
                                         .sign = on_sign,
                                         .done = on_done};

static inline void begin(void)
{
    make_folder(folder);
    memset(sent, 0, sizeof(sent));
    done_count = 0;
    at = 1;
    store = NULL;
    puller = NULL;
    assert_ok(sh_store_open(folder, &store));
    assert_ok(sh_puller_new(&ops, NULL, 0, &puller));
}

static inline void end(void)
{
    sh_puller_free(puller);
    sh_store_close(store);
    remove_tree(folder);
}

static inline void give(unsigned type, const void *bytes, size_t n)
{
    sh_puller_rx(puller, 1, type, SH_BYTES(bytes, n), at);
}

static inline void give_message(unsigned type, const ProtobufCMessage *message)
{
    uint8_t *frame = NULL;
    size_t n = 0;
    assert_ok(sh_msg_frame(type, message, &frame, &n));
    give(type, frame + SH_FRAME_HEADER, n - SH_FRAME_HEADER);
    free(frame);
}

/* A manifest that may be bent: two items of 100000 and 5 octets. */
struct recipe {
    Simhop__Manifest message;
    Simhop__Item items[SH_ITEMS_MAX + 1], *list[SH_ITEMS_MAX + 1];
    uint8_t ids[SH_ITEMS_MAX + 1][40];
    char names[SH_ITEMS_MAX + 1][320];
    uint8_t transfer_id[40];
};

static struct recipe r;

static inline void add_item(uint64_t size)
{
    size_t i = r.message.n_items++;
    r.list[i] = &r.items[i];
    simhop__item__init(r.list[i]);
    r.ids[i][0] = (uint8_t)i;
    r.ids[i][1] = (uint8_t)(i >> 8);
    r.items[i].id = (ProtobufCBinaryData){.data = r.ids[i], .len = 16};
    snprintf(r.names[i], sizeof(r.names[i]), "n%zu", i);
    r.items[i].name = r.names[i];
    r.items[i].kind = SIMHOP__ITEM_KIND__ITEM_KIND_FILE;
    r.items[i].size = size;
}

static inline void make_manifest(void)
{
    memset(&r, 0, sizeof(r));
    simhop__manifest__init(&r.message);
    r.message.transfer_id = (ProtobufCBinaryData){.data = r.transfer_id, .len = 16};
    r.message.leaf_size = SH_LEAF_SIZE;
    r.message.items = r.list;
    add_item(100000);
    add_item(5);
}

#endif
