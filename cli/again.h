/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is the other device looked for once more after a session? An engine on the secondary. A transfer that a sleep of this machine cut off
 * goes on, however long the search takes; one whose links are all gone only if the session brought something, and only for
 * SH_AGAIN_MS, within which every try may come to nothing. What the machine sleeps in the middle of that search does not count. What
 * cannot go on ends with the cause that it had.
 */
#ifndef SIMHOP_CLI_AGAIN_H
#define SIMHOP_CLI_AGAIN_H

#include "proto/base.h"
#include "proto/cause.h"

#define SH_AGAIN_MS       15000
#define SH_AGAIN_SLEPT_MS 60000 /* a transfer that ends so soon after a sleep ended by it */

struct sh_again {
    sh_ms woke;          /* in a transfer; 0: it has not slept */
    sh_ms until;         /* what was lost has to be found until then; SH_NEVER: nothing was */
    enum sh_cause cause; /* of what was lost first */
    char detail[256];    /* its */
};
#define SH_AGAIN_INIT                                                                              \
    {                                                                                              \
        .until = SH_NEVER                                                                          \
    }

enum sh_again_step {
    SH_AGAIN_NO,
    SH_AGAIN_BY_SLEEP,
    SH_AGAIN_BY_LOSS,
    SH_AGAIN_SEARCH_ON, /* as before: the session brought nothing, and there is time left */
};

/* The machine has slept so long (0: not known); moving: in a transfer. */
void sh_again_slept(struct sh_again *again, sh_ms slept, bool moving, sh_ms now);
/* A session ended with this, and sh_detail() is still its; brought: octets of it were verified; quitting: a person wants no more. */
enum sh_again_step sh_again_over(struct sh_again *again, enum sh_cause cause, bool brought,
                                 bool quitting, sh_ms now);
/* One that was lost was found, and not connected to: is there time for another search? */
bool sh_again_may_search(const struct sh_again *again, sh_ms now);
/* What the program ends with that would end with this: a second search that came to nothing changes nothing about why it was needed.
 * Sets the detail. */
enum sh_cause sh_again_end(const struct sh_again *again, enum sh_cause cause);

#endif
