/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TLS_TLS_LIBRARY_H
#define WEFT_TLS_TLS_LIBRARY_H

/*
 * tls_openssl_init keeps OpenSSL from the configuration of the host, which
 * could load code or change what TLS accepts. Before any other use of it;
 * calls after the first do nothing.
 */
void tls_openssl_init(void);

#endif
