// Package money reckons with prices, to the cent.
package money

import "github.com/shopspring/decimal"

// Total returns what quantity pieces cost at price.
func Total(price string, quantity int64) (string, error) {
	piece, err := decimal.NewFromString(price)
	if err != nil {
		return "", err
	}
	return piece.Mul(decimal.NewFromInt(quantity)).StringFixed(2), nil
}
