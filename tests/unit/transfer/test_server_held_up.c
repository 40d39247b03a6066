/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The digest of an item is taken beside the serving. Where that is behind the server waits for it, so that a receipt never has to. */
#include "transfer/server.h"

#include <pthread.h>

#include "system/worker.h"
#include "unit/transfer/util.h"

#define LEAVES 1700
#define MOST   1100 /* that are served before the first is in the digest */
#define SOON   5000 /* ms */
#define TURNS  20

static const uint8_t anchor_id[16] = {1}, transfer_id[16] = "a transfer's id";
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static unsigned served, receipts;

static enum sh_cause on_send(sh_link_id link SH_UNUSED, unsigned type SH_UNUSED,
                             const ProtobufCMessage *message SH_UNUSED, void *user SH_UNUSED)
{
    return SH_OK;
}

static enum sh_cause on_leaf(sh_link_id link SH_UNUSED, const struct sh_leaf *leaf SH_UNUSED,
                             void *user SH_UNUSED)
{
    served++;
    return SH_OK;
}

static size_t on_pending(sh_link_id link SH_UNUSED, void *user SH_UNUSED)
{
    return 0;
}

static enum sh_cause on_receipt(const Simhop__Receipt *receipt SH_UNUSED, void *user SH_UNUSED)
{
    receipts++;
    return SH_OK;
}

static const struct sh_server_ops ops = {
    .send = on_send, .send_leaf = on_leaf, .pending = on_pending, .receipt = on_receipt};

/* Keeps the worker. */
static void run_gate(struct sh_job *job SH_UNUSED)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static void end_gate(struct sh_job *job SH_UNUSED, bool lost SH_UNUSED) {}

static void say(struct sh_server *server, unsigned type, const ProtobufCMessage *message)
{
    uint8_t *frame = NULL;
    size_t n = 0;
    assert_ok(sh_msg_frame(type, message, &frame, &n));
    assert_ok(sh_server_rx(server, 1, type, SH_BYTES(frame + 4, n - 4)));
    free(frame);
}

static void pull_all(struct sh_server *server)
{
    Simhop__Pull pull = SIMHOP__PULL__INIT;
    pull.count = LEAVES;
    say(server, SH_MSG_PULL, &pull.base);
}

static void work(struct sh_server *server)
{
    bool more = true;
    while (more)
        assert_ok(sh_server_work(server, &more));
}

static void send_receipt(struct sh_server *server, const struct sh_item *item)
{
    uint8_t id[16], root[SH_HASH_SIZE], signature[1] = {0};
    ProtobufCBinaryData roots[] = {{sizeof(root), root}};
    Simhop__Receipt receipt = SIMHOP__RECEIPT__INIT;
    assert_ok(sh_item_root(item, root));
    memcpy(id, transfer_id, sizeof(id));
    receipt.transfer_id = (ProtobufCBinaryData){sizeof(id), id};
    receipt.roots = roots;
    receipt.n_roots = 1;
    receipt.signature = (ProtobufCBinaryData){sizeof(signature), signature};
    say(server, SH_MSG_RECEIPT, &receipt.base);
}

static void test_held_up(void **state SH_UNUSED)
{
    struct sh_job first = {.run = run_gate, .end = end_gate};
    struct sh_worker *worker = NULL;
    struct sh_item *item = NULL;
    struct sh_server *server = NULL;
    char folder[PATH_SIZE];
    make_folder(folder);
    const char *path = in_folder(folder, "large");
    write_file(path, "", 0);
    assert_int_equal(truncate(path, (off_t)LEAVES * SH_LEAF_SIZE), 0);
    assert_ok(sh_item_open_file(NULL, path, anchor_id, &item));
    assert_ok(sh_worker_new(&worker));
    sh_item_set_worker(item, worker);
    assert_ok(sh_server_new(&item, 1, transfer_id, &ops, NULL, &server));
    sh_server_link_up(server, 1);

    pthread_mutex_lock(&gate);
    sh_worker_give(worker, &first, false);
    pull_all(server);
    work(server);
    assert_in_range(served, LEAVES / 2, MOST);
    assert_true(sh_server_waits(server));

    pthread_mutex_unlock(&gate);
    for (unsigned i = 0; i < TURNS && served < LEAVES; i++) {
        sh_worker_await(worker, SOON);
        work(server);
    }
    assert_int_equal(served, LEAVES);
    assert_true(sh_item_sealed(item));
    send_receipt(server, item);
    for (unsigned i = 0; i < TURNS && receipts == 0; i++) {
        sh_worker_await(worker, SOON);
        work(server);
    }
    assert_int_equal(receipts, 1);
    assert_true(sh_item_digested(item));

    sh_server_free(server);
    sh_item_free(item);
    sh_worker_free(worker);
    remove_tree(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
