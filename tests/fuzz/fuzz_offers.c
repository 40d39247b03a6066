/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the other side offers: LinkOffers, as the secondary's ladder takes those of the anchor and as the anchor takes those of the
 * secondary. What is dialled is whole, and what may be called from afar is never this machine.
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "transfer/back.h"

static void on_dial(const struct sh_attempt *attempt, void *user)
{
    unsigned *dials = user;
    fuzz_assert(attempt->port > 0 && (attempt->address_len == 4 || attempt->address_len == 16));
    fuzz_assert(attempt->kind != SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT ||
                attempt->group.ssid_len > 0);
    ++*dials;
}

static void on_cancel(unsigned attempt SH_UNUSED, void *user SH_UNUSED) {}

static void on_failed(int kind SH_UNUSED, enum sh_cause cause SH_UNUSED, void *user SH_UNUSED) {}

static const struct sh_ladder_ops ops = {.dial = on_dial, .cancel = on_cancel, .failed = on_failed};

static void climb(const Simhop__LinkOffers *offers)
{
    static const int kinds[] = {SIMHOP__LINK_KIND__LINK_KIND_LAN,
                                SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT};
    struct sh_ladder *ladder = NULL;
    unsigned dials = 0;
    if (sh_ladder_new(kinds, SH_COUNT(kinds), 1, &ops, &dials, &ladder) != SH_OK)
        return;
    if (sh_ladder_offers(ladder, offers, 1000) == SH_OK) {
        for (sh_ms now = 1000; now < 60000; now += SH_RACE_MS)
            (void)sh_ladder_tick(ladder, now);
    }
    fuzz_assert(dials <= SH_COUNT(kinds) * SH_LADDER_ATTEMPTS * SH_LADDER_ROUNDS);
    sh_ladder_free(ladder);
}

static void call(const Simhop__LinkOffers *offers, bool here)
{
    struct sh_back_offer offer;
    if (sh_back_read(offers, NULL, here, &offer) != SH_OK)
        return;
    fuzz_assert(offer.base.n_addresses <= SH_BACK_ADDRESSES);
    for (size_t i = 0; i < offer.base.n_addresses; i++) {
        const uint8_t *address = offer.base.addresses[i].data;
        fuzz_assert(offer.base.port > 0 && offer.base.port <= UINT16_MAX);
        fuzz_assert(here || offer.base.addresses[i].len != 4 ||
                    (address[0] != 127 && address[0] < 224));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ProtobufCMessage *message = NULL;
    if (sh_msg_unpack(SH_MSG_LINK_OFFERS, SH_BYTES(data, size), &message) != SH_OK)
        return 0;
    climb((const Simhop__LinkOffers *)message);
    call((const Simhop__LinkOffers *)message, false);
    call((const Simhop__LinkOffers *)message, true);
    sh_msg_free(message);
    return 0;
}
