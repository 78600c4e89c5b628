/* Kamailio 5.6 with OpenSSL 3 crashes when TLS connections come and go: its processes inherit one per-thread OpenSSL
 * error state, kept in shared memory. Forgetting the inherited thread-specific values in each forked child gives every
 * process a state of its own. Preloaded by bench/gateways.py. Later versions of
 * Kamailio have a setting for this. */
#include <pthread.h>

static void forget(void)
{
	for (pthread_key_t k = 0; k < 32; k++)
		if (pthread_getspecific(k))
			pthread_setspecific(k, 0);
}

__attribute__((constructor)) static void install(void)
{
	pthread_atfork(0, 0, forget);
}
