/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/receipts.h"

#include <stdlib.h>
#include <string.h>

#include "proto/log.h"

#define DETAIL_MAX 256

struct entry {
    struct entry *next;
    struct sh_receipt receipt; /* its octets stand behind */
    sh_receipt_kept kept;      /* NULL: nobody is to be told */
    void *user;
    uint8_t bytes[];
};

struct sh_receipts {
    struct sh_registry *registry;
    struct entry *waiting, **last;
    struct entry *settled; /* kept or not, their users are being told */
};

enum sh_cause sh_receipts_new(struct sh_registry *registry, struct sh_receipts **ret_book)
{
    struct sh_receipts *book = calloc(1, sizeof(*book));
    if (!book)
        return SH_ENV_NO_MEMORY;
    book->registry = registry;
    book->last = &book->waiting;
    *ret_book = book;
    return SH_OK;
}

static struct entry *take_first(struct entry **list)
{
    struct entry *entry = *list;
    if (entry)
        *list = entry->next;
    return entry;
}

void sh_receipts_free(struct sh_receipts *book)
{
    if (!book)
        return;
    for (struct entry *entry; (entry = take_first(&book->waiting)) != NULL;)
        free(entry);
    free(book);
}

enum sh_cause sh_receipts_add(struct sh_receipts *book, const struct sh_receipt *receipt,
                              sh_receipt_kept kept, void *user)
{
    size_t roots = receipt->roots.n, signature = receipt->signature.n;
    struct entry *entry = malloc(sizeof(*entry) + roots + signature);
    if (!entry)
        return SH_ENV_NO_MEMORY;
    *entry = (struct entry){.receipt = *receipt, .kept = kept, .user = user};
    memcpy(entry->bytes, receipt->roots.p, roots);
    memcpy(entry->bytes + roots, receipt->signature.p, signature);
    entry->receipt.roots = SH_BYTES(entry->bytes, roots);
    entry->receipt.signature = SH_BYTES(entry->bytes + roots, signature);
    *book->last = entry;
    book->last = &entry->next;
    return SH_OK;
}

static void forget(struct entry *list, const void *user)
{
    for (struct entry *entry = list; entry; entry = entry->next) {
        if (entry->user == user)
            entry->kept = NULL;
    }
}

void sh_receipts_forget(struct sh_receipts *book, const void *user)
{
    forget(book->waiting, user);
    forget(book->settled, user);
}

bool sh_receipts_waits(const struct sh_receipts *book)
{
    return book->waiting != NULL;
}

static enum sh_cause keep(struct sh_registry *registry, const struct entry *first)
{
    enum sh_cause cause = SH_OK;
    SH_TRY(sh_registry_batch_begin(registry));
    for (const struct entry *entry = first; entry && cause == SH_OK; entry = entry->next)
        cause = sh_registry_put_receipt(registry, &entry->receipt);
    return sh_registry_batch_end(registry, cause);
}

void sh_receipts_commit(struct sh_receipts *book)
{
    char detail[DETAIL_MAX];
    unsigned n = 0;
    if (!book->waiting)
        return;
    enum sh_cause cause = keep(book->registry, book->waiting);
    if (!sh_strcopy(detail, sizeof(detail), sh_detail()))
        detail[0] = '\0';
    book->settled = book->waiting;
    book->waiting = NULL;
    book->last = &book->waiting;
    for (struct entry *entry; (entry = take_first(&book->settled)) != NULL; n++) {
        if (cause != SH_OK) /* whoever was told before may have failed in something else */
            (void)sh_fail(cause, "%s", detail);
        if (entry->kept)
            entry->kept(cause, entry->user);
        free(entry);
    }
    sh_log("receipts: %u in one: %s", n, sh_cause_info(cause)->name);
}
